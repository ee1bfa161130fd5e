// SPDX-License-Identifier: MIT
// A user's program in ten lines: what an installed weft must be able to build.

#include <weft/weft.hpp>

weft::task<int> answer(int part) {
  co_await weft::yield();
  co_return part;
}

weft::task<int> whole() {
  auto [left, right] = co_await weft::when_all(answer(40), answer(2));
  co_return left + right;
}

int main() { return weft::run(whole()) + weft::run({.workers = 2}, whole()) == 84 ? 0 : 1; }
