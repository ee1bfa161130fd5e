// SPDX-License-Identifier: MIT
#pragma once
// A job that is a step of a larger one, such as a merge within a sort: it stops and fails with it.

#include "weft/sched/detail/parallel_job.hpp"

#include <cstddef>

namespace weft::detail {

class sub_job {
public:
  explicit sub_job(parallel_job& whole) noexcept : whole_(&whole) {}

  bool halted() const noexcept { return whole_->halted(); }
  void cut_off() noexcept { whole_->cut_off(); }
  void fail() noexcept { whole_->fail(); }
  bool is_incomplete() const noexcept { return whole_->is_incomplete(); }
  bool is_hungry(const worker& w) const noexcept { return whole_->is_hungry(w); }
  bool must_give_way(pace& p, std::size_t done) noexcept { return whole_->must_give_way(p, done); }

private:
  parallel_job* whole_;
};

}  // namespace weft::detail
