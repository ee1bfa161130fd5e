// SPDX-License-Identifier: MIT
#pragma once
// The findings as doctor() shows them: aligned lines of plain ASCII, of at most 100 columns.

#include "weft/io/detail/host_findings.hpp"

#include <string>

namespace weft::detail {

/// Errors: bad_alloc.
std::string doctor_text(const host_findings& found);

}  // namespace weft::detail
