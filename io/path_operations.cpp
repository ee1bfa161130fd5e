// SPDX-License-Identifier: MIT
#include "weft/io/path_operations.hpp"

namespace weft::detail {

void throw_path_error(std::error_code code, const char* call, const std::string& path) {
  throw_error(code, (std::string(call) + " \"" + path + '"').c_str());
}

void check_path(const std::string& path, const char* call) {
  if (has_zero(path))
    throw_path_error(std::make_error_code(std::errc::invalid_argument), call, path);
}

}  // namespace weft::detail
