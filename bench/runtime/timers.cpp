// SPDX-License-Identifier: MIT
// What do timers cost when a million are pending?
//
// Measured: the worker's queue by itself.
//   timer_insert: a million timers into an empty queue; `per_item` is one of them.
//   timer_cancel: a timer at random leaves, and enters again with another deadline.
//   timer_expire: the earliest leaves, and enters again with a later deadline.
// Not measured: clocks, coroutines (see sleep). Bound: cache misses in 16 MB of heap entries and
// 40 MB of timers.
// Baseline: a std::multimap from deadline to timer, whose iterators are kept for cancelling.

#include "bench/support/measure.hpp"
#include "bench/support/random.hpp"
#include <weft/runtime/timer_queue.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace {

constexpr std::size_t pending = 1'000'000;
constexpr std::uint64_t horizon_ns = 1'000'000'000;

using weft::detail::timer;
using weft::detail::timer_queue;

/// Both have: insert(i, deadline), cancel(i), take_earliest() -> i, clear(), size().
class weft_timers {
public:
  weft_timers() : timers_(pending), queue_(std::in_place) {}

  void insert(std::size_t i, std::int64_t deadline_ns) {
    timers_[i].deadline_ns = deadline_ns;
    queue_->insert(timers_[i]);
  }
  void cancel(std::size_t i) { queue_->remove(timers_[i]); }
  std::size_t take_earliest() {
    return static_cast<std::size_t>(queue_->pop_expired(queue_->next_deadline()) - timers_.data());
  }
  std::int64_t deadline(std::size_t i) const { return timers_[i].deadline_ns; }
  std::size_t size() const { return queue_->size(); }
  void clear() {
    queue_.emplace();
    timers_.assign(pending, timer{});
  }

private:
  std::vector<timer> timers_;
  std::optional<timer_queue> queue_;
};

class map_timers {
public:
  map_timers() : places_(pending) {}

  void insert(std::size_t i, std::int64_t deadline_ns) {
    places_[i] = map_.emplace(deadline_ns, i);
  }
  void cancel(std::size_t i) { map_.erase(places_[i]); }
  std::size_t take_earliest() {
    const auto first = map_.begin();
    const std::size_t i = first->second;
    last_ = first->first;
    map_.erase(first);
    return i;
  }
  std::int64_t deadline(std::size_t) const { return last_; }
  std::size_t size() const { return map_.size(); }
  void clear() { map_.clear(); }

private:
  std::multimap<std::int64_t, std::size_t> map_;
  std::vector<decltype(map_)::iterator> places_;
  std::int64_t last_ = 0;
};

std::int64_t some_time(bench::random_numbers& random) {
  return static_cast<std::int64_t>(random.below(horizon_ns));
}

template <class Timers>
void fill(Timers& timers, bench::random_numbers& random) {
  for (std::size_t i = 0; i < pending; ++i) timers.insert(i, some_time(random));
}

template <class Timers>
void insert(benchmark::State& state) {
  Timers timers;
  bench::random_numbers random;
  for (auto _ : state) {
    fill(timers, random);
    state.PauseTiming();
    bench::expect(state, timers.size() == pending, "lost a timer");
    timers.clear();
    state.ResumeTiming();
  }
  bench::per_item(state, pending);
}

/// Filled once for all repetitions: that takes longer than the measurement.
template <class Timers>
Timers& full() {
  static Timers timers;
  bench::random_numbers random;
  if (timers.size() == 0) fill(timers, random);
  return timers;
}

template <class Timers>
void cancel(benchmark::State& state) {
  Timers& timers = full<Timers>();
  bench::random_numbers random(7);
  for (auto _ : state) {
    const auto i = static_cast<std::size_t>(random.below(pending));
    timers.cancel(i);
    timers.insert(i, some_time(random));
  }
  bench::expect(state, timers.size() == pending, "lost a timer");
}

template <class Timers>
void expire(benchmark::State& state) {
  Timers& timers = full<Timers>();
  bench::random_numbers random(8);
  std::int64_t now = 0;
  bool in_order = true;
  for (auto _ : state) {
    const std::size_t i = timers.take_earliest();
    in_order = in_order && timers.deadline(i) >= now;
    now = timers.deadline(i);
    timers.insert(i, now + some_time(random));
  }
  bench::expect(state, in_order && timers.size() == pending, "lost a timer, or the order");
}

}  // namespace

BENCHMARK(insert<weft_timers>)
    ->Name("runtime/timer_insert/weft")
    ->Iterations(1)
    ->Apply(bench::wall_clock);
BENCHMARK(insert<map_timers>)
    ->Name("runtime/timer_insert/multimap")
    ->Iterations(1)
    ->Apply(bench::wall_clock);
BENCHMARK(cancel<weft_timers>)->Name("runtime/timer_cancel/weft")->Apply(bench::wall_clock);
BENCHMARK(cancel<map_timers>)->Name("runtime/timer_cancel/multimap")->Apply(bench::wall_clock);
BENCHMARK(expire<weft_timers>)->Name("runtime/timer_expire/weft")->Apply(bench::wall_clock);
BENCHMARK(expire<map_timers>)->Name("runtime/timer_expire/multimap")->Apply(bench::wall_clock);
