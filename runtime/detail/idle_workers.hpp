// SPDX-License-Identifier: MIT
#pragma once

// Who sleeps and who searches: the pool's book-keeping against lost wake-ups. It makes no system
// call and wakes nobody; it says who has to be woken, and the caller does it (parker.hpp).
//
// The invariant: when there is work that nobody has taken, somebody searches or nobody sleeps.
//   - Work is published (seq_cst), then should_wake is asked: nobody is woken while somebody
//     searches, because that one finds the work, or re-checks.
//   - The last searcher that finds something wakes the next one where there is, or may be, more.
//   - Who goes to sleep and leaves nobody searching looks at all queues once more.
// At most half of the workers, rounded up, begin a search by themselves. The scheme is the one of
// tokio and of Go's scheduler, but that a worker re-checks too when it goes to sleep without having
// searched: it may have been turned away by a searcher who has since found work of its own.
//
// A worker that has run dry does:
//   if (!searching) searching = idle.try_begin_search();
//   if (searching && (found = look everywhere)) { if (idle.end_search()) wake_one(); run found }
//   if (idle.go_to_sleep(me, searching) && there is work anywhere) wake_one();
//   if (parker.prepare_park()) { sleep; parker.resume(); }
//   searching = idle.woke_up(me);
// and wake_one, also called when should_wake says so after a push, is:
//   const int w = idle.claim_sleeper();  if (w >= 0 && parker[w].unpark()) ring its doorbell
// In the re-check wake_one most often claims the very worker that calls it, which is then awake
// again and searching. It must go that way: a worker that just went on would not wake the next one
// when it finds something.
//
// R1: a producer publishes work, then should_wake loads the word | go_to_sleep changes the word,
//     then its caller looks at all queues: one of the two sees the other (seq_cst, both sides).
// R2: who sleeps is told under the mutex; the counts of the word follow the list there.

#include "weft/runtime/assert.hpp"
#include "weft/runtime/atomics.hpp"
#include "weft/runtime/spin_lock.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

namespace weft::detail {

template <class Atomics = std_atomics, class Mutex = spin_lock>
class idle_workers {
public:
  /// All `workers` are awake and none searches.
  explicit idle_workers(unsigned workers) : workers_(workers), word_(workers * one_awake) {
    sleepers_.reserve(workers);
  }

  /// Anyone, after work was published by a seq_cst access: whether a sleeper has to be claimed.
  /// Cost: one load.
  [[nodiscard]] bool should_wake() const noexcept {
    const std::uint64_t word = word_.load(std::memory_order_seq_cst);  // sync: R1
    return searching(word) == 0 && awake(word) < workers_;
  }

  /// Anyone: takes the worker that fell asleep last and counts it as awake and searching; the
  /// caller unparks it. -1 when nobody sleeps, or somebody searches by now and makes it needless.
  [[nodiscard]] int claim_sleeper() noexcept {
    if (!should_wake()) return -1;
    const std::lock_guard lock{mutex_};  // sync: R2
    if (!should_wake()) return -1;
    WEFT_ASSERT(!sleepers_.empty(), "fewer workers sleep than are counted: a wake-up is lost");
    const unsigned worker = sleepers_.back();
    sleepers_.pop_back();
    ++wakes_;
    word_.fetch_add(one_awake + one_searching, std::memory_order_seq_cst);  // sync: R1
    return static_cast<int>(worker);
  }

  /// Worker, awake and not searching: false when enough others search already.
  [[nodiscard]] bool try_begin_search() noexcept {
    std::uint64_t word = word_.load(std::memory_order_relaxed);  // relaxed: the swap checks it
    do {
      if (2 * searching(word) >= workers_) return false;
    } while (!word_.compare_exchange_weak(word, word + one_searching, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));  // sync: R1
    return true;
  }

  /// Worker, searching, has found work: true when it was the last searcher, and wakes one for more.
  [[nodiscard]] bool end_search() noexcept {
    // sync: R1
    return searching(word_.fetch_sub(one_searching, std::memory_order_seq_cst)) == 1;
  }

  /// Worker: announces its sleep, ending its search if it was searching. True when nobody
  /// searches from now on: look at all queues, and claim a sleeper when there is work. In either
  /// case woke_up follows, after a sleep or without.
  [[nodiscard]] bool go_to_sleep(unsigned me, bool was_searching) noexcept {
    const std::uint64_t change = one_awake + (was_searching ? one_searching : 0);
    const std::lock_guard lock{mutex_};  // sync: R2
    WEFT_ASSERT(sleepers_.size() < workers_, "a worker fell asleep twice: it will be lost");
    sleepers_.push_back(me);
    // sync: R1
    return searching(word_.fetch_sub(change, std::memory_order_seq_cst) - change) == 0;
  }

  /// Worker, after go_to_sleep, asleep in between or not: true when it was claimed and counts as
  /// searching; false when nobody claimed it and it is simply awake again.
  [[nodiscard]] bool woke_up(unsigned me) noexcept {
    const std::lock_guard lock{mutex_};  // sync: R2
    if (std::erase(sleepers_, me) == 0) return true;
    ++wakes_;
    word_.fetch_add(one_awake, std::memory_order_seq_cst);  // sync: R1
    return false;
  }

  /// While everybody sleeps a number that is another one after each time that somebody did not; 0
  /// while somebody is awake. What was seen between two equal numbers was all there at once.
  [[nodiscard]] std::uint64_t all_asleep() noexcept {
    const std::lock_guard lock{mutex_};  // sync: R2
    return sleepers_.size() == workers_ ? wakes_ + 1 : 0;
  }

private:
  // The word holds two counts: workers awake, and those of them that search.
  static constexpr std::uint64_t one_awake = 1;
  static constexpr std::uint64_t one_searching = std::uint64_t{1} << 32;
  static std::uint64_t awake(std::uint64_t word) noexcept { return word & (one_searching - 1); }
  static std::uint64_t searching(std::uint64_t word) noexcept { return word / one_searching; }

  // fixed after start
  const std::uint64_t workers_;
  // any thread
  alignas(cache_line_size) typename Atomics::template atomic<std::uint64_t> word_;
  // any thread, under the mutex
  alignas(cache_line_size) Mutex mutex_;
  std::vector<unsigned> sleepers_;  // the last one fell asleep last; never grows after start
  std::uint64_t wakes_ = 0;
};

}  // namespace weft::detail
