// SPDX-License-Identifier: MIT
//
//   T1: take() sets `asked` (release) -> the handler takes it (acquire): whom it is for.
//   T2: the handler sets `answered` (release) -> take() reads it (acquire): hands over the sample.
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

namespace weft::detail {

namespace {

// A signal belongs to the process, so this does too. One sample at a time.
enum class step : unsigned char { none, asked, answering, answered };

constinit std::mutex one_at_a_time;
constinit unsigned samplers = 0;  // guarded by the mutex, as the next two
constinit bool ours = false;
constinit struct sigaction before{};
constinit std::atomic<step> state{step::none};
constinit pthread_t asked_thread{};
constinit stack_sample* answer = nullptr;

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
    // relaxed: the worker's own thread
    if ((w->beat.load(std::memory_order_relaxed) & 1) != 0) {
      std::atomic_signal_fence(std::memory_order_acquire);
      out.running = w->span;
    }
  }
}

void on_signal(int, siginfo_t*, void* context) noexcept {
  const int kept = errno;
  if (state.load(std::memory_order_acquire) == step::asked &&  // sync: T1
      pthread_equal(asked_thread, pthread_self()) != 0) {
    step expected = step::asked;
    // sync: T1
    if (state.compare_exchange_strong(expected, step::answering, std::memory_order_acquire)) {
      write_down(*answer, context);
      state.store(step::answered, std::memory_order_release);  // sync: T2
    }
  }
  errno = kept;
}

bool is_free(const struct sigaction& a) noexcept {
  return (a.sa_flags & SA_SIGINFO) == 0 && (a.sa_handler == SIG_DFL || a.sa_handler == SIG_IGN);
}

void install() noexcept {
  if (sigaction(SIGURG, nullptr, &before) != 0 || !is_free(before)) return;
  // The first call loads the unwinder, which no handler may.
  void* frame[1];
  (void)backtrace(frame, 1);
  struct sigaction handler{};
  handler.sa_sigaction = &on_signal;
  handler.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  ours = sigaction(SIGURG, &handler, nullptr) == 0;
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

stack_sampler::stack_sampler() noexcept {
  const std::lock_guard lock(one_at_a_time);
  if (samplers++ == 0) install();
}

stack_sampler::~stack_sampler() {
  const std::lock_guard lock(one_at_a_time);
  if (--samplers != 0 || !ours) return;
  if (is_installed()) sigaction(SIGURG, &before, nullptr);
  ours = false;
}

const char* stack_sampler::take(pthread_t thread, stack_sample& out) noexcept {
  const std::lock_guard lock(one_at_a_time);
  if (!ours || !is_installed()) return "the program handles SIGURG itself";
  asked_thread = thread;
  answer = &out;
  state.store(step::asked, std::memory_order_release);  // sync: T1
  if (pthread_kill(thread, SIGURG) != 0) {
    state.store(step::none, std::memory_order_relaxed);  // relaxed: nobody was asked
    return "SIGURG could not be sent";
  }
  for (int waited_ms = 0; state.load(std::memory_order_acquire) != step::answered;  // sync: T2
       ++waited_ms) {
    step expected = step::asked;
    // relaxed: taken back, unless the handler has begun; then the answer comes at once
    if (waited_ms >= 100 &&
        state.compare_exchange_strong(expected, step::none, std::memory_order_relaxed))
      return "the thread did not answer: it blocks SIGURG, or has no processor";
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  state.store(step::none, std::memory_order_relaxed);  // relaxed: under the lock
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
