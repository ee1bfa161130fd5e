// SPDX-License-Identifier: MIT
#include "weft/io/kernel/linux_signals.hpp"

#include "weft/runtime/spin_lock.hpp"

#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <new>
#include <utility>

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace weft::detail {

namespace {

constexpr int signals_max = 64;

constexpr std::uint64_t bit_of(int number) noexcept { return std::uint64_t{1} << (number - 1); }

template <class Visit>
void for_each_signal(std::uint64_t set, Visit visit) noexcept {
  for (; set != 0; set &= set - 1) visit(std::countr_zero(set) + 1);
}

/// One who catches signals.
struct catcher {
  const std::uint64_t set;
  const int fd;
  const signal_catch how;
  int came = 0;  // the signal that it waited for; then it waits for none
  catcher* behind = nullptr;
};

/// All of the process. Constant-initialised and never destroyed: a signal may come at any time.
struct all_catchers {
  std::atomic<pid_t> process{0};  // to which the list belongs
  spin_lock lock;
  // Guarded by the lock.
  catcher* first = nullptr;
  std::array<struct ::sigaction, signals_max + 1> before{};  // of those that somebody catches

  bool caught(int number) const noexcept {
    for (const catcher* c = first; c != nullptr; c = c->behind)
      if ((c->set & bit_of(number)) != 0) return true;
    return false;
  }
  bool waited_for(int number) const noexcept {
    for (const catcher* c = first; c != nullptr; c = c->behind)
      if (c->came == 0 && (c->set & bit_of(number)) != 0) return true;
    return false;
  }
};

constinit all_catchers all;

/// Holds the lock with all signals blocked on this thread.
class exclusive {
public:
  exclusive() noexcept {
    sigset_t every;
    ::sigfillset(&every);
    ::pthread_sigmask(SIG_SETMASK, &every, &mask_);
    all.lock.lock();
  }
  exclusive(const exclusive&) = delete;
  exclusive& operator=(const exclusive&) = delete;
  ~exclusive() {
    all.lock.unlock();
    ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  }

private:
  sigset_t mask_;
};

void handle(int number) noexcept;

/// SA_RESETHAND: between a first signal and its handler there is no time for a second one.
int set_handler(int number) noexcept {
  struct ::sigaction action{};
  action.sa_handler = &handle;
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART | SA_ONSTACK;
  ::sigfillset(&action.sa_mask);
  return ::sigaction(number, &action, nullptr) == 0 ? 0 : -errno;
}

void set_default(int number) noexcept {
  struct ::sigaction action{};
  action.sa_handler = SIG_DFL;
  ::sigaction(number, &action, nullptr);
}

/// What each of these signals does from now on; 0 or -errno. Holding the lock.
int settle(std::uint64_t set) noexcept {
  int error = 0;
  for_each_signal(set, [&error](int number) noexcept {
    if (all.waited_for(number)) {
      const int refused = set_handler(number);
      if (refused != 0) error = refused;
    } else if (all.caught(number)) {
      set_default(number);
    } else {
      ::sigaction(number, &all.before[static_cast<std::size_t>(number)], nullptr);
    }
  });
  return error;
}

/// Tells all who wait for it. False when nobody does.
bool tell(int number) noexcept {
  const std::lock_guard guard(all.lock);  // all signals are blocked: the handler's mask
  std::uint64_t sets = 0;
  for (catcher* c = all.first; c != nullptr; c = c->behind) {
    if (c->came != 0 || (c->set & bit_of(number)) == 0) continue;
    if (c->how == signal_catch::first) c->came = number;
    const auto value = static_cast<std::uint64_t>(number);
    // There is room: nobody sends so many signals that their numbers add up to 2^64.
    [[maybe_unused]] const ssize_t written = ::write(c->fd, &value, sizeof value);
    sets |= c->set;
  }
  settle(sets);
  return sets != 0;
}

/// Async-signal-safe. A signal that nobody waits for any more comes once more, to do what it does
/// now: it is delivered when the handler returns. So does one in a child that clone(2) or vfork
/// made; the list is its parent's.
void handle(int number) noexcept {
  const int error = errno;
  const bool ours = all.process.load(std::memory_order_relaxed) == ::getpid();  // relaxed: a number
  if (!ours) set_default(number);
  if (!ours || !tell(number)) std::raise(number);
  errno = error;
}

/// The child has one thread, and none of those who catch.
void forget_in_forked_child() noexcept {
  if (all.process.load(std::memory_order_relaxed) == 0) return;  // relaxed: the only thread
  all.lock.unlock();
  const exclusive guard;
  std::uint64_t sets = 0;
  for (const catcher* c = all.first; c != nullptr; c = c->behind) sets |= c->set;
  all.first = nullptr;
  settle(sets);
}

void unlink(const catcher& c) noexcept {
  catcher** link = &all.first;
  while (*link != &c) link = &(*link)->behind;
  *link = c.behind;
}

}  // namespace

int catch_linux_signals(std::uint64_t set, signal_catch how) noexcept {
  // Fails only without memory for the hook; then a forked child keeps the handlers.
  [[maybe_unused]] static const int hooked =
      ::pthread_atfork(nullptr, nullptr, &forget_in_forked_child);
  const int fd = ::eventfd(0, EFD_CLOEXEC);
  if (fd < 0) return -errno;
  auto* const c = new (std::nothrow) catcher{.set = set, .fd = fd, .how = how};
  int error = c == nullptr ? -ENOMEM : 0;
  if (c != nullptr) {
    const exclusive guard;
    all.process.store(::getpid(), std::memory_order_relaxed);  // relaxed: a number
    for_each_signal(set, [](int number) noexcept {
      if (!all.caught(number))
        ::sigaction(number, nullptr, &all.before[static_cast<std::size_t>(number)]);
    });
    c->behind = std::exchange(all.first, c);
    error = settle(set);
  }
  if (error == 0) return fd;
  if (c == nullptr)
    ::close(fd);
  else
    release_linux_signals(fd);
  return error;
}

int release_linux_signals(int fd) noexcept {
  catcher* c = nullptr;
  {
    const exclusive guard;
    c = all.first;
    while (c != nullptr && c->fd != fd) c = c->behind;
    if (c != nullptr) {
      unlink(*c);
      settle(c->set);
    }
  }
  if (c == nullptr) return 0;  // its parent's, in a forked child
  const int came = c->came;
  delete c;
  ::close(fd);
  return came;
}

}  // namespace weft::detail
