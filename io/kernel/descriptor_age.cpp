// SPDX-License-Identifier: MIT
#include "weft/io/kernel/descriptor_age.hpp"

namespace weft::detail {

constinit std::array<std::atomic<std::uint32_t>, descriptor_ages_max> descriptor_ages{};

}  // namespace weft::detail
