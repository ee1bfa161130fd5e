// SPDX-License-Identifier: MIT
// Chains of synchronous awaits on a stack of 256 KiB: long ones and deep ones, also through
// operations and groups. The transfer from task to task must be a jump, at -O0 and under ASan too.
#include "../support/counted.hpp"
#include "../support/stack_use.hpp"
#include "weft/weft.hpp"

#include <cstddef>
#include <cstdio>
#include <thread>

using weft::tests::counted;

namespace {

constexpr std::size_t stack_bytes = 256 * 1024;
constexpr std::size_t used_bytes_max = 64 * 1024;

weft::task<int> one() { co_return 1; }
weft::task<counted> one_counted() { co_return counted(1); }

weft::task<int> in_a_row(int times) {
  int sum = 0;
  for (int i = 0; i < times; ++i) {
    const int n = co_await one();
    sum += n;
  }
  co_return sum;
}

weft::task<int> counted_in_a_row(int times) {
  int sum = 0;
  for (int i = 0; i < times; ++i) {
    const counted c = co_await one_counted();
    sum += c.number;
  }
  co_return sum;
}

weft::task<int> ready_operations_in_a_row(int times) {
  weft::event open;
  weft::semaphore permits{1};
  open.set();
  int passed = 0;
  for (int i = 0; i < times; ++i) {
    co_await open.wait();
    auto permit = co_await permits.acquire();
    ++passed;
  }
  co_return passed;
}

weft::task<int> below_each_other(int levels) {
  if (levels == 0) co_return 0;
  const int n = co_await below_each_other(levels - 1);
  co_return n + 1;
}

template <class F>
weft::task<int> measured(int expected, F chain, int length) {
  weft::tests::stack_use stack;
  stack.paint();
  const int n = co_await chain(length);
  const std::size_t used = stack.bytes();
  if (n == expected && used < used_bytes_max) co_return 0;
  std::printf("gave %d instead of %d, used %zu bytes of stack\n", n, expected, used);
  co_return 1;
}

template <class F>
int failures(F chain, int length) {
  int count = 0;
  for (const unsigned workers : {1u, 2u}) {
    std::thread([&] {
      count += weft::run({.workers = workers}, measured(length, chain, length));
    }).join();
  }
  return count;
}

}  // namespace

int main() {
  const weft::tests::default_stack_size small(stack_bytes);
  int failed = failures(in_a_row, 1'000'000);
  failed += failures(counted_in_a_row, 100'000);
  failed += failures(ready_operations_in_a_row, 100'000);
  failed += failures(below_each_other, 100'000);
  if (counted::alive() != 0) std::printf("%d values left\n", counted::alive());
  return failed == 0 && counted::alive() == 0 ? 0 : 1;
}
