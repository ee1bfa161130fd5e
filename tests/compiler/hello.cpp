// SPDX-License-Identifier: MIT
// The smallest program, concurrent and parallel.
#include "weft/weft.hpp"

weft::task<int> amain() { co_return 3; }

int main() {
  if (weft::run(amain()) != 3) return 1;
  return weft::run({.workers = 2}, amain()) == 3 ? 0 : 2;
}
