// SPDX-License-Identifier: MIT
#include "weft/sched/dump_tasks.hpp"

#include "weft/runtime/worker.hpp"
#include "weft/sched/detail/task_report.hpp"
#include "weft/sched/post.hpp"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <source_location>
#include <system_error>
#include <utility>

namespace weft {

namespace {

/// What an event loop is asked by another thread. The loop may answer when nobody waits any more.
struct question {
  std::mutex mutex;
  std::condition_variable answered;
  bool done = false;
  std::string text;
  std::exception_ptr failure;
};

void answer(question& q, scheduler& s) noexcept {
  std::string text;
  std::exception_ptr failure;
  try {
    text = detail::tasks_text(s);
  } catch (...) {
    failure = std::current_exception();
  }
  const std::lock_guard guard(q.mutex);
  q.done = true;
  q.text = std::move(text);
  q.failure = std::move(failure);
  q.answered.notify_all();
}

std::string ask(scheduler& s) {
  const auto q = std::make_shared<question>();
  s.send(detail::make_posted([q, &s] { answer(*q, s); }, std::source_location::current()));
  std::unique_lock lock(q->mutex);
  if (!q->answered.wait_for(lock, std::chrono::seconds(1), [&] { return q->done; }))
    throw std::system_error(std::make_error_code(std::errc::timed_out),
                            "dump_tasks: the event loop has not come to it within a second: it is "
                            "not running, or one of its tasks computes or blocks");
  if (q->failure != nullptr) std::rethrow_exception(q->failure);
  return std::move(q->text);
}

}  // namespace

std::string dump_tasks(scheduler& s) {
  detail::worker* const w = detail::current_worker();
  if (s.shared() || (w != nullptr && w->home == &s)) return detail::tasks_text(s);
  return ask(s);
}

std::string dump_tasks() {
  detail::worker* const w = detail::current_worker();
  if (w == nullptr)
    throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                            "dump_tasks: this thread runs no task; name the scheduler, as in "
                            "dump_tasks(pool)");
  return detail::tasks_text(*w->home);
}

}  // namespace weft
