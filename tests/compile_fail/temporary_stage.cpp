// SPDX-License-Identifier: MIT
// expect: name the lambda first
#include "weft/runtime/pipeline.hpp"

#include <string>

// Only g++ 12 destroys such captures twice; newer compilers accept the program.
#if defined(__clang__) || __GNUC__ >= 13
#error "nothing to refuse here; with g++ 12: name the lambda first"
#endif

weft::async_generator<std::string> words(weft::async_generator<std::string> all, std::string word) {
  return std::move(all) | weft::filter([word](const std::string& s) { return s == word; });
}
