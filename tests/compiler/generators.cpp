// SPDX-License-Identifier: MIT
// Generators and pipelines: what is yielded, kept in a frame or captured is destroyed once, whether
// the generator runs to its end or is given up between two values.
#include "../support/counted.hpp"
#include "weft/runtime/merge.hpp"
#include "weft/runtime/pipeline.hpp"
#include "weft/weft.hpp"

#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using weft::tests::counted;

namespace {

constexpr const char* text = "a text that is long enough to lie on the heap";

struct aggregate {
  counted c;
  std::string s;
};

weft::async_generator<counted> values(counted first, std::string s) {
  const counted local(first.number);
  co_await weft::yield();
  co_yield counted(first.number);
  co_yield local;
  if (s == text) co_yield std::move(first);
}

weft::async_generator<std::string> texts() {
  co_yield text;
  co_yield std::string(text) + '!';
  std::string named = text;
  co_yield named;
  co_yield std::move(named);
}

// g++ 12 destroys an aggregate twice that is a temporary of the co_yield expression.
weft::async_generator<aggregate> named_aggregates() {
  for (int i = 0; i < 3; ++i) {
    aggregate a{counted(1), text};
    co_yield std::move(a);
  }
}

weft::async_generator<std::unique_ptr<counted>> boxes() {
  for (int i = 0; i < 3; ++i) co_yield std::make_unique<counted>(1);
}

weft::async_generator<counted&> references(counted c) {
  co_yield c;
  co_yield c;
}

weft::async_generator<counted> awaits_at_its_end(int& ended) {
  std::exception_ptr why;
  try {
    for (;;) co_yield counted(1);
  } catch (...) {
    why = std::current_exception();
  }
  co_await weft::yield();
  ++ended;
  std::rethrow_exception(why);
}

weft::task<int> to_the_end() {
  int sum = 0;
  auto all = values(counted(1), text);
  while (auto v = co_await all.next()) sum += v->number;
  auto some = texts();
  while (auto s = co_await some.next()) sum += s->substr(0, 45) == text ? 0 : 1000;
  auto pairs = named_aggregates();
  while (auto a = co_await pairs.next()) sum += a->s == text ? 0 : 1000;
  auto boxed = boxes();
  while (auto b = co_await boxed.next()) sum += (*b)->number - 1;
  auto same = references(counted(1));
  while (counted* c = co_await same.next()) sum += c->number - 1;
  co_return sum - 2;
}

weft::task<int> given_up() {
  for (int wanted = 0; wanted < 4; ++wanted) {
    auto all = values(counted(1), text);
    auto some = texts();
    auto pairs = named_aggregates();
    auto boxed = boxes();
    for (int i = 0; i < wanted; ++i) {
      (void)co_await all.next();
      (void)co_await some.next();
      (void)co_await pairs.next();
      (void)co_await boxed.next();
    }
  }
  co_return 1;
}

weft::task<int> closed() {
  int ended = 0;
  auto all = awaits_at_its_end(ended);
  (void)co_await all.next();
  co_await all.close();
  co_return ended;
}

weft::task<int> through_a_pipeline() {
  int sum = 0;
  auto is_one = [c = counted(1)](const counted& other) { return c.number == other.number; };
  auto slowly = [c = counted(0), s = std::string(text)](counted other) -> weft::task<counted> {
    co_await weft::yield();
    co_return counted(other.number + c.number);
  };
  auto add = [&sum, c = counted(1)](counted other) { sum += c.number * other.number; };
  co_await weft::for_each(values(counted(1), text) | weft::filter(is_one) |
                              weft::transform(slowly) | weft::take(2),
                          add);
  co_return sum - 1;
}

weft::task<int> merged() {
  int sum = 0;
  auto add = [&sum](counted c) { sum += c.number; };
  co_await weft::for_each(weft::merge(values(counted(1), text), values(counted(1), text)), add);
  int ended = 0;
  co_await weft::for_each(weft::merge(awaits_at_its_end(ended)) | weft::take(3), add);
  co_return sum - 8;
}

weft::task<counted> ends_with(counted c, std::string s) {
  co_await weft::yield();
  co_return counted(s == text ? c.number : 1000);
}

weft::task<int> completed() {
  int sum = 0;
  auto add = [&sum](counted c) { sum += c.number; };
  co_await weft::for_each(
      weft::as_completed(ends_with(counted(1), text), ends_with(counted(2), text)), add);
  std::vector<weft::task<counted>> tasks;
  for (int i = 0; i < 5; ++i) tasks.push_back(ends_with(counted(1), text));
  co_await weft::for_each(weft::as_completed(std::move(tasks)) | weft::take(3), add);
  co_return sum - 5;
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
    CASE(to_the_end);
    CASE(given_up);
    CASE(closed);
    CASE(through_a_pipeline);
    CASE(merged);
    CASE(completed);
  }
  return ok ? 0 : 1;
}
