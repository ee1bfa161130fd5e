// SPDX-License-Identifier: MIT
#include "weft/io/doctor.hpp"

#include "weft/io/detail/doctor_text.hpp"
#include "weft/io/detail/host_findings.hpp"

namespace weft {

std::string doctor() { return detail::doctor_text(detail::look_at_host("/proc")); }

}  // namespace weft
