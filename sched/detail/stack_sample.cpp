// SPDX-License-Identifier: MIT
//
//   T1: take() sets `asked` (release) -> the handler takes it (acquire): whom it is for.
//   T2: the handler sets `answered` (release) -> take() reads it (acquire): hands over the sample.
//   T3: here() publishes the process's state (acq_rel) -> others, and the handler, find it
//       (acquire).
// No exploration covers them: a handler interrupts its own thread, which the explorer cannot play.
#include "weft/sched/detail/stack_sample.hpp"

#include "weft/runtime/worker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <ucontext.h>
#include <unistd.h>

namespace weft::detail {

// A signal belongs to the process, so this does too; a forked child makes one of its own, since
// threads that are not there may have held the lock of this one.
struct stack_sampling {
  explicit stack_sampling(pid_t p) noexcept : process(p) {}

  const pid_t process;
  std::mutex one_at_a_time;  // guards the next three
  unsigned samplers = 0;
  bool handler_installed = false;
  struct sigaction before{};

  // How many were asked for, and how far the last one is: a handler that comes too late for its own
  // does not answer the next.
  std::atomic<std::uint64_t> state{0};
  std::atomic<pthread_t> asked_thread{};
  std::atomic<stack_sample*> answer{nullptr};
};

namespace {

enum step : std::uint64_t { none, asked, answering, answered, steps };

// Never destroyed: a signal may come at any time.
constinit std::atomic<stack_sampling*> latest{nullptr};

stack_sampling& here() {
  const pid_t process = getpid();
  stack_sampling* s = latest.load(std::memory_order_acquire);  // sync: T3
  while (s == nullptr || s->process != process) {
    auto made = std::make_unique<stack_sampling>(process);
    if (latest.compare_exchange_strong(s, made.get(), std::memory_order_acq_rel,  // sync: T3
                                       std::memory_order_acquire))
      return *made.release();
  }
  return *s;
}

void* interrupted_at([[maybe_unused]] void* context) noexcept {
#if defined(__x86_64__)
  return reinterpret_cast<void*>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
#else
  return nullptr;
#endif
}

void write_down(stack_sample& out, void* context) noexcept {
  out.count = backtrace(out.frames, stack_sample::frames_max);
  // From where it was interrupted on: what is inside is this handler.
  void* const here = interrupted_at(context);
  for (int i = 0; i < out.count; ++i) {
    if (out.frames[i] != here) continue;
    out.count -= i;
    for (int j = 0; j < out.count; ++j) out.frames[j] = out.frames[i + j];
    break;
  }
  if (const worker* const w = current_worker()) {
    out.beat = w->beat.load(std::memory_order_relaxed);  // relaxed: the worker's own thread
    if ((out.beat & 1) != 0) {
      std::atomic_signal_fence(std::memory_order_acquire);
      out.running = w->span;
    }
  }
}

void on_signal(int, siginfo_t*, void* context) noexcept {
  const int kept = errno;
  if (stack_sampling* const s = latest.load(std::memory_order_acquire)) {  // sync: T3
    std::uint64_t now = s->state.load(std::memory_order_acquire);          // sync: T1
    // relaxed: `now` tells which one this is, and the exchange whether it still is
    const pthread_t wanted = s->asked_thread.load(std::memory_order_relaxed);
    stack_sample* const out = s->answer.load(std::memory_order_relaxed);  // relaxed: as above
    if (now % steps == asked && pthread_equal(wanted, pthread_self()) != 0 &&
        s->state.compare_exchange_strong(now, now - asked + answering,
                                         std::memory_order_acquire)) {  // sync: T1
      write_down(*out, context);
      s->state.store(now - asked + answered, std::memory_order_release);  // sync: T2
    }
  }
  errno = kept;
}

/// Also what a forked child has inherited.
bool is_free(const struct sigaction& a) noexcept {
  if ((a.sa_flags & SA_SIGINFO) != 0) return a.sa_sigaction == &on_signal;
  return a.sa_handler == SIG_DFL || a.sa_handler == SIG_IGN;
}

void install(stack_sampling& s) noexcept {
  if (sigaction(SIGURG, nullptr, &s.before) != 0 || !is_free(s.before)) return;
  if ((s.before.sa_flags & SA_SIGINFO) != 0) {
    s.before = {};
    s.before.sa_handler = SIG_DFL;
  }
  // The first call loads the unwinder, which no handler may.
  void* frame[1];
  (void)backtrace(frame, 1);
  struct sigaction handler{};
  handler.sa_sigaction = &on_signal;
  handler.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  s.handler_installed = sigaction(SIGURG, &handler, nullptr) == 0;
}

bool is_installed() noexcept {
  struct sigaction now{};
  return sigaction(SIGURG, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) != 0 &&
         now.sa_sigaction == &on_signal;
}

std::string_view file_name(std::string_view path) noexcept {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

std::string demangled(const char* name) {
  const std::unique_ptr<char, decltype(&std::free)> plain(
      abi::__cxa_demangle(name, nullptr, nullptr, nullptr), &std::free);
  return plain != nullptr ? plain.get() : name;
}

}  // namespace

stack_sampler::stack_sampler() : shared_(here()) {
  stack_sampling& s = shared_;
  const std::lock_guard lock(s.one_at_a_time);
  if (s.samplers++ == 0) install(s);
}

stack_sampler::~stack_sampler() {
  stack_sampling& s = shared_;
  const std::lock_guard lock(s.one_at_a_time);
  if (--s.samplers != 0 || !s.handler_installed) return;
  if (is_installed()) sigaction(SIGURG, &s.before, nullptr);
  s.handler_installed = false;
}

const char* stack_sampler::take(pthread_t thread, stack_sample& out) {
  stack_sampling& s = shared_;
  const std::lock_guard lock(s.one_at_a_time);
  if (!s.handler_installed || !is_installed()) return "the program handles SIGURG itself";
  const std::uint64_t before = s.state.load(std::memory_order_relaxed);  // relaxed: under the lock
  const std::uint64_t turn = before - before % steps + steps;
  s.asked_thread.store(thread, std::memory_order_relaxed);  // relaxed: T1 hands them over
  s.answer.store(&out, std::memory_order_relaxed);          // relaxed: as above
  s.state.store(turn + asked, std::memory_order_release);   // sync: T1
  if (pthread_kill(thread, SIGURG) != 0) {
    s.state.store(turn, std::memory_order_relaxed);  // relaxed: nobody was asked
    return "SIGURG could not be sent";
  }
  // sync: T2
  for (int waited_ms = 0; s.state.load(std::memory_order_acquire) != turn + answered; ++waited_ms) {
    std::uint64_t expected = turn + asked;
    // relaxed: taken back, unless the handler has begun; then the answer comes at once
    if (waited_ms >= 100 &&
        s.state.compare_exchange_strong(expected, turn, std::memory_order_relaxed))
      return "the thread did not answer: it blocks SIGURG, or has no processor";
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return nullptr;
}

std::string stack_text(const stack_sample& s) {
  std::string text;
  std::vector<std::pair<std::string_view, std::string>> nameless;  // an object, and where in it
  for (int i = 0; i < s.count; ++i) {
    auto out = std::back_inserter(text);
    // A return address may belong to the next function already.
    const auto at = reinterpret_cast<std::uintptr_t>(s.frames[i]) - (i == 0 ? 0 : 1);
    Dl_info found{};
    if (dladdr(reinterpret_cast<void*>(at), &found) == 0 || found.dli_fname == nullptr) {
      fmt::format_to(out, "  #{} {:#x}\n", i, at);
      continue;
    }
    if (found.dli_sname != nullptr) {
      fmt::format_to(out, "  #{} {} ({})\n", i, demangled(found.dli_sname),
                     file_name(found.dli_fname));
      continue;
    }
    const std::uintptr_t offset = at - reinterpret_cast<std::uintptr_t>(found.dli_fbase);
    fmt::format_to(out, "  #{} {}+{:#x}\n", i, file_name(found.dli_fname), offset);
    auto object = std::ranges::find(nameless, found.dli_fname, [](auto& n) { return n.first; });
    if (object == nameless.end()) object = nameless.insert(object, {found.dli_fname, {}});
    fmt::format_to(std::back_inserter(object->second), " {:#x}", offset);
  }
  for (const auto& [object, offsets] : nameless)
    fmt::format_to(std::back_inserter(text), "names: addr2line -Cfipe {}{}\n", object, offsets);
  return text;
}

}  // namespace weft::detail
