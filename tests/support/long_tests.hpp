// SPDX-License-Identifier: MIT
#pragma once
// How often a test repeats what only repetition finds: little by default, much with
// WEFT_TEST_LONG=1.

#include <cstdlib>

namespace weft::tests {

inline int repetitions(int usual, int many) noexcept {
  const char* const set = std::getenv("WEFT_TEST_LONG");
  return set != nullptr && *set == '1' ? many : usual;
}

}  // namespace weft::tests
