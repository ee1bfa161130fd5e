// SPDX-License-Identifier: MIT
// A blocking call with arguments by value, and by reference where that is asked for.
#include "weft/io/blocking.hpp"

#include "weft/weft.hpp"

#include <functional>
#include <string>

namespace {

std::string query(std::string database, int& calls) {
  ++calls;
  return database + " was asked, and gave an answer for the heap";
}

weft::task<int> amain() {
  int calls = 0;
  auto row = co_await weft::blocking(query, std::string("a database"), std::ref(calls));
  co_return row.size() == 53 && calls == 1 ? 0 : 1;
}

}  // namespace

int main() {
  const int loop = weft::run(amain());
  return loop != 0 ? loop : weft::run({.workers = 2}, amain());
}
