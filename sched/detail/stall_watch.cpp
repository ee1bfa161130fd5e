// SPDX-License-Identifier: MIT
#include "weft/sched/detail/stall_watch.hpp"

#include "weft/runtime/promise.hpp"
#include "weft/sched/detail/trace_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <iterator>
#include <system_error>
#include <utility>

namespace weft::detail {

namespace {

std::string worker_name(const worker& w) {
  return w.shared ? fmt::format("worker {}", w.index) : std::string("the event loop");
}

/// "fetch, which came back from main.cpp:12", or what is known of that.
std::string running_text(const trace_span& running) {
  if (running.name == nullptr) return "a task";
  std::string text = short_function_name(running.name);
  if (running.file != nullptr)
    text += fmt::format(", which came back from {}:{}", running.file, running.line);
  return text;
}

}  // namespace

stall_watch::stall_watch(kernel& k, const run_options& o, unsigned workers)
    : stall_hook{[](stall_hook& self, worker& w, const promise_base& p) noexcept {
        auto& watch = static_cast<stall_watch&>(self);
        std::string text;
        {
          const std::lock_guard lock(watch.mutex_);
          text = watch.report(watch.refusals_, [&] { return refusals_text(w, p); });
        }
        watch.tell(text);
      }},
      after_(o.stall_after), on_stall_(o.on_stall),
      between_looks_(std::max<std::chrono::nanoseconds>(after_ / looks_for_a_stall,
                                                        std::chrono::milliseconds(1))) {
  seats_.reserve(workers);
  try {
    thread_ = k.start_helper([](void* self) { static_cast<stall_watch*>(self)->watch(); }, this);
  } catch (const std::system_error& e) {
    throw std::system_error(e.code(),
                            "weft cannot start: creating the thread of .stall_after failed; look "
                            "at ulimit -u (RLIMIT_NPROC) and the cgroup's pids.max");
  }
}

stall_watch::~stall_watch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.reset();
  for (kind* k : {&stalls_, &refusals_})
    if (k->left_out != 0)
      tell(report(
          *k, [] { return std::string("weft: the scheduler of these stall reports has ended."); }));
}

void stall_watch::add(worker& w) noexcept {
  const std::lock_guard lock(mutex_);
  w.stalls = this;
  seats_.push_back({&w, pthread_self(), 0, 0});  // room was reserved
  changed_.notify_all();
}

void stall_watch::remove(worker& w) noexcept {
  const std::lock_guard lock(mutex_);
  w.stalls = nullptr;
  std::erase_if(seats_, [&](const seat& s) { return s.watched == &w; });
}

void stall_watch::watch() noexcept {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (seats_.empty()) {
      changed_.wait(lock);
    } else if (changed_.wait_for(lock, between_looks_) == std::cv_status::timeout) {
      std::vector<std::string> reports;
      for (seat& s : seats_)
        if (std::string text = look_at(s); !text.empty()) reports.push_back(std::move(text));
      if (reports.empty()) continue;
      lock.unlock();  // what hears of them may take its time
      for (const std::string& text : reports) tell(text);
      lock.lock();
    }
  }
}

std::string stall_watch::look_at(seat& s) noexcept {
  // relaxed: only whether it moves
  const std::uint64_t beat = s.watched->beat.load(std::memory_order_relaxed);
  if (beat != s.seen || (beat & 1) == 0) {
    s.seen = beat;
    s.looks = 0;
    return {};
  }
  if (++s.looks != looks_for_a_stall) return {};
  return report(stalls_, [&] { return stall_text(s); });
}

std::string stall_watch::stall_text(const seat& s) {
  stack_sample stack;
  const char* why_none = sampler_.take(s.thread, stack);
  if (why_none == nullptr && stack.beat != s.seen) {
    why_none = "it went on just now";
    stack.running = {};
  }
  std::string text = fmt::format(
      "weft: {} has been kept busy for more than {} by {}, and everything else there waits. Move "
      "a call that blocks into co_await weft::blocking(fn, args...), and put co_await "
      "weft::yield() into a long computation. ",
      worker_name(*s.watched), duration_text(after_.count()), running_text(stack.running));
  if (why_none != nullptr)
    fmt::format_to(std::back_inserter(text), "(No stack: {}.)", why_none);
  else
    text += "It stands at\n" + stack_text(stack);
  return text;
}

std::string stall_watch::refusals_text(const worker& w, const promise_base& p) {
  const promise_base* root = &p;
  while (root->awaiter != nullptr) root = root->awaiter;
  return fmt::format(
      "weft: on {}, {} goes on although its scope is stopped: {} awaits in a row were refused, the "
      "last one at {}:{}. Leave the loop when as_result gives errc::operation_canceled, or let "
      "`cancelled` pass through.",
      worker_name(w), short_function_name(root->line.function_name()), worker::refusals_max,
      p.line.file_name(), p.line.line());
}

/// Under the lock, or when nobody else is left. Empty: it is counted instead.
template <class MakeText>
std::string stall_watch::report(kind& k, MakeText make_text) noexcept {
  const auto now = std::chrono::steady_clock::now();
  if (now < k.next && !stopping_) {
    ++k.left_out;
    return {};
  }
  k.next = now + between_reports;
  try {
    std::string text = make_text();
    if (!text.ends_with('\n')) text += '\n';
    if (k.left_out != 0)
      fmt::format_to(std::back_inserter(text), "({} more since the report before.)\n",
                     std::exchange(k.left_out, 0));
    return text;
  } catch (const std::bad_alloc&) {
    return "weft: a stall\n";  // so short that it takes no memory
  }
}

void stall_watch::tell(std::string_view report) const noexcept {
  if (report.empty()) return;
  if (on_stall_ != nullptr)
    on_stall_(report);
  else
    std::fwrite(report.data(), 1, report.size(), stderr);
}

std::unique_ptr<stall_watch> make_stall_watch(kernel& k, const run_options& o, unsigned workers) {
  if (o.stall_after <= o.stall_after.zero()) return nullptr;
  return std::make_unique<stall_watch>(k, o, workers);
}

}  // namespace weft::detail
