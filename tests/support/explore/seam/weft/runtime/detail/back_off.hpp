// SPDX-License-Identifier: MIT
#pragma once

// What stands in the place of runtime/detail/back_off.hpp for the explorer: when somebody looks at
// a lock again is its schedule's business.

#include "weft/runtime/spin_lock.hpp"

namespace weft::detail {

class back_off_lock : public spin_lock {};

}  // namespace weft::detail
