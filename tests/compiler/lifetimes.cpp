// SPDX-License-Identifier: MIT
// Temporaries in a co_await expression: each is destroyed once, at the end of the expression.
#include "../support/counted.hpp"
#include "weft/weft.hpp"

#include <cstdio>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

using weft::tests::counted;

namespace {

constexpr const char* text = "a text that is long enough to lie on the heap";

weft::task<counted> give(counted c) {
  co_await weft::yield();
  co_return c;
}

weft::task<int> take(counted c, std::string s) {
  co_await weft::yield();
  co_return c.number + (s == text ? 0 : 1000);
}

weft::task<int> take_reference(const counted& c, const std::string& s) {
  co_await weft::yield();
  co_return c.number + (s == text ? 0 : 1000);
}

weft::task<int> take_vector(std::vector<counted> v) {
  co_await weft::yield();
  int sum = 0;
  for (const counted& c : v) sum += c.number;
  co_return sum;
}

struct aggregate {
  counted c;
  std::string s;
};

weft::task<int> take_aggregate(aggregate a) {
  co_await weft::yield();
  co_return a.c.number + (a.s == text ? 0 : 1000);
}

weft::task<int> string_temporary() {
  const int n = co_await take(counted(1), std::string(text));
  co_return n;
}

weft::task<int> temporary_by_reference() {
  const int n = co_await take_reference(counted(1), std::string(text));
  co_return n;
}

weft::task<int> vector_temporary() {
  const int n = co_await take_vector(std::vector<counted>(3, counted(2)));
  co_return n - 5;
}

weft::task<int> nested() {
  const int n = co_await take(co_await give(co_await give(counted(1))), std::string(text));
  co_return n;
}

weft::task<int> two_in_one_expression() {
  const int n = (co_await give(counted(3))).number - (co_await give(counted(2))).number;
  co_return n;
}

// g++ 12 destroys an aggregate or a closure twice that is a temporary of the co_await expression
// and has members with destructors. With a name it is right everywhere.
weft::task<int> named_aggregate() {
  aggregate a{counted(1), text};
  const int n = co_await take_aggregate(std::move(a));
  co_return n;
}

weft::task<int> named_aggregate_through_a_channel() {
  auto [tx, rx] = weft::channel<aggregate>(1);
  aggregate a{counted(1), text};
  co_await tx.send(std::move(a));
  auto received = co_await rx.receive();
  co_return received->c.number + (received->s == text ? 0 : 1000);
}

weft::task<int> named_closure() {
  auto body = [c = counted(1), s = std::string(text)]() -> weft::task<int> {
    co_await weft::yield();
    co_return c.number + (s == text ? 0 : 1000);
  };
  const int n = co_await body();
  co_return n;
}

weft::task<int> named_group_body() {
  auto body = [c = counted(1), s = std::string(text)](weft::task_group&) -> weft::task<int> {
    co_await weft::yield();
    co_return c.number + (s == text ? 0 : 1000);
  };
  const int n = co_await weft::with_task_group(body);
  co_return n;
}

weft::task<int> spawned_closures() {
  int sum = 0;
  auto body = [&sum](weft::task_group& g) -> weft::task<> {
    weft::join_handle<int> one =
        g.spawn([c = counted(1), s = std::string(text)]() -> weft::task<int> {
          co_await weft::yield();
          co_return c.number + (s == text ? 0 : 1000);
        });
    weft::join_handle<int> two = g.spawn(take, counted(2), std::string(text));
    weft::join_handle<int> three = g.spawn(take_aggregate, aggregate{counted(3), text});
    sum += co_await one;
    sum += co_await two;
    sum += co_await three;
  };
  co_await weft::with_task_group(body);
  co_return sum - 5;
}

weft::task<int> combined() {
  auto [a, b] = co_await weft::when_all(give(counted(1)), take(counted(2), std::string(text)));
  co_return b - a.number;
}

weft::task<int> as_a_value() {
  auto r = co_await weft::as_result(give(counted(1)));
  co_return r->number;
}

weft::task<int> through_a_channel() {
  auto [tx, rx] = weft::channel<counted>(1);
  co_await tx.send(counted(1));
  auto first = co_await rx.receive();
  const counted original(5);
  co_await tx.send(original);
  co_return first->number;
}

template <class F>
bool passes(const char* name, unsigned workers, F f) {
  const int n = weft::run({.workers = workers}, f());
  if (n == 1 && counted::alive() == 0) return true;
  std::printf("%s on %u: gave %d, %d values left\n", name, workers, n, counted::alive());
  return false;
}

}  // namespace

#define CASE(name) ok = passes(#name, workers, name) && ok

int main() {
  bool ok = true;
  for (const unsigned workers : {1u, 2u}) {
    CASE(string_temporary);
    CASE(temporary_by_reference);
    CASE(vector_temporary);
    CASE(nested);
    CASE(two_in_one_expression);
    CASE(named_aggregate);
    CASE(named_aggregate_through_a_channel);
    CASE(named_closure);
    CASE(named_group_body);
    CASE(spawned_closures);
    CASE(combined);
    CASE(as_a_value);
    CASE(through_a_channel);
  }
  return ok ? 0 : 1;
}
