// SPDX-License-Identifier: MIT
// What does it cost to spread a loop over workers, and how evenly is it spread?
//
// Measured: a loop without a body (10^6), saxpy (10^7 floats), a five-point stencil (4096 x 4096),
// Mandelbrot (rows of very uneven cost), and loops of 1 to 64 cheap iterations, awaited from a task
// that runs already. Not measured: starting the threads. Bound: by the division and the clock reads
// (empty), the memory (saxpy, stencil), the arithmetic and the balance (Mandelbrot); a tiny loop by
// the look at the processor's counter. Baselines: the plain loop (serial), and oneTBB's
// parallel_for over the same body, held to as many threads.

#include "bench/support/measure.hpp"
#include <weft/sched/parallel_for.hpp>

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/blocked_range2d.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace {

// Each has a body for an index, how many there are, and a check of what it has left behind.

/// The same memory for all variants of a question, so that all have the same pages; with nothing
/// written yet.
template <class Work>
Work& cleared() {
  static Work work;
  work.clear();
  return work;
}

struct empty_loop {
  static constexpr std::ptrdiff_t count = 1'000'000;
  auto body() const {
    return [](std::ptrdiff_t i) { benchmark::DoNotOptimize(i); };
  }
  void clear() {}
  bool right() const { return true; }
};

struct saxpy {
  static constexpr std::ptrdiff_t count = 10'000'000;
  std::vector<float> x = std::vector<float>(count, 1.0F);
  std::vector<float> y = std::vector<float>(count, 0.0F);
  auto body() {
    return [in = x.data(), out = y.data()](std::ptrdiff_t i) { out[i] += 0.5F * in[i]; };
  }
  void clear() { std::fill(y.begin(), y.end(), 0.0F); }
  bool right() const { return y.front() == y.back() && y.front() > 0; }
};

struct mandelbrot {
  static constexpr std::ptrdiff_t count = 512;
  static constexpr int width = 512;
  std::vector<int> pixels = std::vector<int>(count * width);
  auto body() {
    return [out = pixels.data()](std::ptrdiff_t row) {
      for (int column = 0; column < width; ++column) {
        const double cx = -2.2 + 3.0 * column / width;
        const double cy = -0.2 + 1.5 * static_cast<double>(row) / count;
        double x = 0;
        double y = 0;
        int n = 0;
        while (n < 500 && x * x + y * y < 4) {
          const double next = x * x - y * y + cx;
          y = 2 * x * y + cy;
          x = next;
          ++n;
        }
        out[row * width + column] = n;
      }
    };
  }
  void clear() { std::fill(pixels.begin(), pixels.end(), 0); }
  bool right() const { return pixels[300 + 70 * width] == 500; }
};

struct stencil {
  static constexpr std::ptrdiff_t side = 4096;
  std::vector<float> from = std::vector<float>(side * side, 1.0F);
  std::vector<float> to = std::vector<float>(side * side, 0.0F);
  auto body() {
    return [in = from.data(), out = to.data()](std::ptrdiff_t y, std::ptrdiff_t x) {
      const float* const p = in + y * side + x;
      out[y * side + x] = 0.2F * (p[0] + p[-1] + p[1] + p[-side] + p[side]);
    };
  }
  void clear() { std::fill(to.begin(), to.end(), 0.0F); }
  bool right() const { return to[side + 1] == 1.0F && to[side * side - side - 2] == 1.0F; }
};

/// Runs one round of `loop(body)` in each iteration, inside a task of a pool.
template <class Work, class Loop>
void in_pool(benchmark::State& state, Work& work, Loop loop) {
  weft::thread_pool pool({.workers = bench::workers(state, 0)});
  auto rounds = [&]() -> weft::task<> {
    const auto body = work.body();
    for (auto _ : state) {
      co_await loop(body);
    }
  };
  pool.run(rounds());
  bench::expect(state, work.right(), "wrong result");
}

template <class Work>
void weft_for(benchmark::State& state) {
  Work& work = cleared<Work>();
  in_pool(state, work, [](const auto& body) {
    return weft::parallel_for(std::ptrdiff_t{0}, Work::count, body);
  });
}

template <class Work>
void tbb_for(benchmark::State& state) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  bench::size(state, 0));
  Work& work = cleared<Work>();
  const auto body = work.body();
  for (auto _ : state)
    tbb::parallel_for(tbb::blocked_range<std::ptrdiff_t>(0, Work::count), [&](const auto& r) {
      for (std::ptrdiff_t i = r.begin(); i != r.end(); ++i) body(i);
    });
  bench::expect(state, work.right(), "wrong result");
}

template <class Work>
void serial_for(benchmark::State& state) {
  Work& work = cleared<Work>();
  const auto body = work.body();
  for (auto _ : state) {
    for (std::ptrdiff_t i = 0; i != Work::count; ++i) body(i);
    benchmark::ClobberMemory();
  }
  bench::expect(state, work.right(), "wrong result");
}

void weft_stencil(benchmark::State& state) {
  auto& work = cleared<stencil>();
  in_pool(state, work, [](const auto& body) {
    const weft::index_range inner{1, stencil::side - 1};
    return weft::parallel_for(weft::index_space(inner, inner), body);
  });
}

void tbb_stencil(benchmark::State& state) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  bench::size(state, 0));
  auto& work = cleared<stencil>();
  const auto body = work.body();
  using range = tbb::blocked_range2d<std::ptrdiff_t>;
  for (auto _ : state)
    tbb::parallel_for(range(1, stencil::side - 1, 1, stencil::side - 1), [&](const range& r) {
      for (std::ptrdiff_t y = r.rows().begin(); y != r.rows().end(); ++y)
        for (std::ptrdiff_t x = r.cols().begin(); x != r.cols().end(); ++x) body(y, x);
    });
  bench::expect(state, work.right(), "wrong result");
}

void serial_stencil(benchmark::State& state) {
  auto& work = cleared<stencil>();
  const auto body = work.body();
  for (auto _ : state) {
    for (std::ptrdiff_t y = 1; y != stencil::side - 1; ++y)
      for (std::ptrdiff_t x = 1; x != stencil::side - 1; ++x) body(y, x);
    benchmark::ClobberMemory();
  }
  bench::expect(state, work.right(), "wrong result");
}

// Tiny loops: what an await of one costs beside the loop itself.

void weft_tiny(benchmark::State& state) {
  const std::ptrdiff_t count = state.range(0);
  std::vector<float> x(64, 1.0F);
  weft::thread_pool pool({.workers = 2});
  auto rounds = [&]() -> weft::task<> {
    float* const out = x.data();
    for (auto _ : state) {
      co_await weft::parallel_for(std::ptrdiff_t{0}, count,
                                  [out](std::ptrdiff_t i) { out[i] += 0.5F; });
      benchmark::ClobberMemory();
    }
  };
  pool.run(rounds());
  bench::expect(state, x[0] > 1, "wrong result");
}

void serial_tiny(benchmark::State& state) {
  std::ptrdiff_t count = state.range(0);
  std::vector<float> x(64, 1.0F);
  float* const out = x.data();
  for (auto _ : state) {
    benchmark::DoNotOptimize(count);
    for (std::ptrdiff_t i = 0; i != count; ++i) out[i] += 0.5F;
    benchmark::ClobberMemory();
  }
  bench::expect(state, x[0] > 1, "wrong result");
}

void one_and_two(benchmark::internal::Benchmark* b) {
  b->ArgName("workers")->Arg(1)->Arg(2)->Unit(benchmark::kMicrosecond)->Apply(bench::wall_clock);
}
void alone(benchmark::internal::Benchmark* b) {
  b->Unit(benchmark::kMicrosecond)->Apply(bench::wall_clock);
}
void tiny(benchmark::internal::Benchmark* b) {
  b->ArgName("n")->Arg(1)->Arg(8)->Arg(64)->Apply(bench::wall_clock);
}

}  // namespace

BENCHMARK(weft_for<empty_loop>)->Name("sched/parallel_for_empty/weft")->Apply(one_and_two);
BENCHMARK(tbb_for<empty_loop>)->Name("sched/parallel_for_empty/tbb")->Apply(one_and_two);
BENCHMARK(serial_for<empty_loop>)->Name("sched/parallel_for_empty/serial")->Apply(alone);
BENCHMARK(weft_for<saxpy>)->Name("sched/parallel_for_saxpy/weft")->Apply(one_and_two);
BENCHMARK(tbb_for<saxpy>)->Name("sched/parallel_for_saxpy/tbb")->Apply(one_and_two);
BENCHMARK(serial_for<saxpy>)->Name("sched/parallel_for_saxpy/serial")->Apply(alone);
BENCHMARK(weft_stencil)->Name("sched/parallel_for_stencil/weft")->Apply(one_and_two);
BENCHMARK(tbb_stencil)->Name("sched/parallel_for_stencil/tbb")->Apply(one_and_two);
BENCHMARK(serial_stencil)->Name("sched/parallel_for_stencil/serial")->Apply(alone);
BENCHMARK(weft_for<mandelbrot>)->Name("sched/parallel_for_mandelbrot/weft")->Apply(one_and_two);
BENCHMARK(tbb_for<mandelbrot>)->Name("sched/parallel_for_mandelbrot/tbb")->Apply(one_and_two);
BENCHMARK(serial_for<mandelbrot>)->Name("sched/parallel_for_mandelbrot/serial")->Apply(alone);
BENCHMARK(weft_tiny)->Name("sched/parallel_for_tiny/weft")->Apply(tiny);
BENCHMARK(serial_tiny)->Name("sched/parallel_for_tiny/serial")->Apply(tiny);
