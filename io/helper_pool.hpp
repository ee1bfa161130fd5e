// SPDX-License-Identifier: MIT
#pragma once
// The threads of one scheduler that run blocking calls. They are started when a call finds none
// idle, up to a bound, and stay; further calls wait in line, oldest first. The helper that went
// idle last is used first: its stack and caches are warm. It knows neither tasks nor rings.

#include "weft/io/helper_job.hpp"
#include "weft/io/kernel/kernel.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

namespace weft::detail {

class helper_pool {
public:
  helper_pool(kernel& k, unsigned threads_max) noexcept;
  helper_pool(const helper_pool&) = delete;
  helper_pool& operator=(const helper_pool&) = delete;
  /// Joins the helpers. No job may be queued any more; running ones are waited for.
  ~helper_pool();

  /// 0, or the errno for which no helper could be started while there is none. Thread: any.
  [[nodiscard]] int submit(helper_job& job) noexcept;

  /// True when the job was queued still: it will never run. Thread: any.
  [[nodiscard]] bool cancel(helper_job& job) noexcept;

  /// Jobs that are queued or running. Thread: any.
  unsigned outstanding() const noexcept;

private:
  struct helper {
    helper_pool* pool = nullptr;
    helper* idle_next = nullptr;
    helper_job* job = nullptr;
    std::condition_variable wake;
    std::unique_ptr<helper_thread> thread;
  };

  static void body(void* self) noexcept;
  void serve(helper& self, std::unique_lock<std::mutex>& lock) noexcept;
  int start_helper(helper_job& first) noexcept;
  void push(helper_job& job) noexcept;
  void remove(helper_job& job) noexcept;

  kernel* const kernel_;
  const unsigned threads_max_;

  mutable std::mutex mutex_;  // guards the rest
  std::vector<std::unique_ptr<helper>> helpers_;
  helper* idle_ = nullptr;  // went idle last
  helper_job* oldest_ = nullptr;
  helper_job* newest_ = nullptr;
  unsigned outstanding_ = 0;
  bool stopping_ = false;
};

}  // namespace weft::detail
