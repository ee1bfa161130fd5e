// SPDX-License-Identifier: MIT
// What does it cost to write what a function makes of 10^7 numbers to another range?
//
// Measured: a polynomial of one range of floats, and the weighted sum of two, awaited from a task
// that runs already. Not measured: filling the memory. Bound: by the memory. Baselines:
// std::transform (serial); oneTBB's parallel_for over the same loop; std::transform with
// execution::par, which libstdc++ takes from oneTBB. All are held to as many threads.

#include "bench/support/measure.hpp"
#include <weft/sched/parallel_transform.hpp>

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <cstddef>
#include <execution>
#include <type_traits>
#include <vector>

namespace {

constexpr std::size_t count = 10'000'000;

/// The two questions: how the next range is made of those that there are.
struct of_one {
  static constexpr float expected = 1.75F;
  auto operator()() const {
    return [](float x) { return (0.5F * x + 0.25F) * x + 1.0F; };
  }
};
struct of_two {
  static constexpr float expected = 2.5F;
  auto operator()() const {
    return [](float x, float y) { return 0.5F * x + y; };
  }
};

struct ranges {
  std::vector<float> x = std::vector<float>(count, 1.0F);
  std::vector<float> y = std::vector<float>(count, 2.0F);
  std::vector<float> out = std::vector<float>(count, 0.0F);

  void check(benchmark::State& state, float expected) const {
    bench::expect(state, std::count(out.begin(), out.end(), expected) == std::ssize(out),
                  "wrong result");
  }
};

/// With nothing written yet.
ranges& cleared() {
  static ranges r;
  std::fill(r.out.begin(), r.out.end(), 0.0F);
  return r;
}

template <class Question>
constexpr bool takes_two = std::is_same_v<Question, of_two>;

template <class Question>
void weft_transform(benchmark::State& state) {
  ranges& r = cleared();
  weft::thread_pool pool({.workers = bench::workers(state, 0)});
  auto rounds = [&]() -> weft::task<> {
    const auto f = Question()();
    for (auto _ : state) {
      if constexpr (takes_two<Question>)
        co_await weft::parallel_transform(r.x.begin(), r.x.end(), r.y.begin(), r.out.begin(), f);
      else
        co_await weft::parallel_transform(r.x, r.out.begin(), f);
    }
  };
  pool.run(rounds());
  r.check(state, Question::expected);
}

template <class Question>
void tbb_transform(benchmark::State& state) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  bench::size(state, 0));
  ranges& r = cleared();
  const auto f = Question()();
  const float* const x = r.x.data();
  const float* const y = r.y.data();
  float* const out = r.out.data();
  for (auto _ : state)
    tbb::parallel_for(tbb::blocked_range<std::size_t>(0, count), [=](const auto& piece) {
      for (std::size_t i = piece.begin(); i != piece.end(); ++i) {
        if constexpr (takes_two<Question>)
          out[i] = f(x[i], y[i]);
        else
          out[i] = f(x[i]);
      }
    });
  r.check(state, Question::expected);
}

/// std::transform with a policy, or none.
template <class Question, class... Policy>
void std_transform(benchmark::State& state, ranges& r, const Policy&... policy) {
  const auto f = Question()();
  for (auto _ : state) {
    if constexpr (takes_two<Question>)
      std::transform(policy..., r.x.begin(), r.x.end(), r.y.begin(), r.out.begin(), f);
    else
      std::transform(policy..., r.x.begin(), r.x.end(), r.out.begin(), f);
    benchmark::ClobberMemory();
  }
  r.check(state, Question::expected);
}

template <class Question>
void par_transform(benchmark::State& state) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  bench::size(state, 0));
  ranges& r = cleared();
  std_transform<Question>(state, r, std::execution::par);
}

template <class Question>
void serial_transform(benchmark::State& state) {
  ranges& r = cleared();
  std_transform<Question>(state, r);
}

void one_and_two(benchmark::internal::Benchmark* b) {
  b->ArgName("workers")->Arg(1)->Arg(2)->Unit(benchmark::kMicrosecond)->Apply(bench::wall_clock);
}
void alone(benchmark::internal::Benchmark* b) {
  b->Unit(benchmark::kMicrosecond)->Apply(bench::wall_clock);
}

}  // namespace

BENCHMARK(weft_transform<of_one>)->Name("sched/parallel_transform/weft")->Apply(one_and_two);
BENCHMARK(tbb_transform<of_one>)->Name("sched/parallel_transform/tbb")->Apply(one_and_two);
BENCHMARK(par_transform<of_one>)->Name("sched/parallel_transform/std_par")->Apply(one_and_two);
BENCHMARK(serial_transform<of_one>)->Name("sched/parallel_transform/serial")->Apply(alone);
BENCHMARK(weft_transform<of_two>)->Name("sched/parallel_transform_two/weft")->Apply(one_and_two);
BENCHMARK(tbb_transform<of_two>)->Name("sched/parallel_transform_two/tbb")->Apply(one_and_two);
BENCHMARK(par_transform<of_two>)->Name("sched/parallel_transform_two/std_par")->Apply(one_and_two);
BENCHMARK(serial_transform<of_two>)->Name("sched/parallel_transform_two/serial")->Apply(alone);
