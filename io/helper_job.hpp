// SPDX-License-Identifier: MIT
#pragma once
// A call on its way to a helper thread, as an intrusive node. By itself, so that whoever awaits one
// does not see the threads (helper_pool.hpp).

namespace weft::detail {

/// A call for a helper. Intrusive: queueing it allocates nothing.
struct helper_job {
  using run_fn = void (*)(helper_job&) noexcept;

  explicit helper_job(run_fn f) noexcept : run(f) {}

  run_fn run;  // the job may be gone when it returns
  helper_job* before = nullptr;
  helper_job* behind = nullptr;
  bool queued = false;
};

}  // namespace weft::detail
