// SPDX-License-Identifier: MIT

// The fork deque with one thread, at the edges, and under real threads.

#include "weft/runtime/detail/fork_deque.hpp"

#include "support/long_tests.hpp"
#include "weft/io/kernel/kernel.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <new>
#include <random>
#include <thread>
#include <vector>

namespace fork_deque_test {

namespace {

using weft::detail::fork_deque;
using weft::detail::forks_taken_by;
using weft::detail::std_atomics;

constexpr auto no_fence = [] {};  // of one thread

// An atomic that counts what is written: any line that another thread reads costs both sides.
template <class T>
class counting_atomic : public std::atomic<T> {
public:
  using std::atomic<T>::atomic;
  void store(T value, std::memory_order order) noexcept {
    ++stores;
    std::atomic<T>::store(value, order);
  }
  bool compare_exchange_strong(T& expected, T value, std::memory_order won,
                               std::memory_order lost) noexcept {
    ++swaps;
    return std::atomic<T>::compare_exchange_strong(expected, value, won, lost);
  }
  static inline int stores = 0;
  static inline int swaps = 0;
};

struct counting_atomics : std_atomics {
  template <class T>
  using atomic = counting_atomic<T>;
};

constexpr std::int64_t starts[] = {
    0,
    (std::int64_t{1} << 32) - 4,
    std::numeric_limits<std::int64_t>::max() - 4,
    -4,
};

TEST_SUITE("sched/fork_deque") {
  TEST_CASE("the owner gets the newest item, a thief the oldest") {
    int items[4];
    fork_deque<int> queue(forks_taken_by::thieves, 4);
    for (int& i : items) REQUIRE(queue.push(&i));
    CHECK(queue.pop() == &items[3]);
    CHECK(queue.steal() == &items[0]);
    CHECK(queue.steal_by_force(no_fence) == &items[1]);
    CHECK(queue.hides());
    CHECK(queue.pop() == &items[2]);
    CHECK(!queue.hides());
  }

  TEST_CASE("the oldest item is shared, and no other") {
    int items[3];
    fork_deque<int> queue;
    CHECK(!queue.offers());
    int offered = 0;
    const auto note = [&offered] { ++offered; };
    for (int& i : items) REQUIRE(queue.push(&i, note));
    CHECK(offered == 1);
    CHECK(queue.steal() == &items[0]);
    CHECK(queue.steal() == nullptr);
    CHECK(queue.hides());

    SUBCASE("a push that finds nothing shared shares the oldest") {
      int more;
      REQUIRE(queue.push(&more, note));
      CHECK(offered == 2);
      CHECK(queue.steal() == &items[1]);
      CHECK(queue.steal() == nullptr);
    }
    SUBCASE("a pop that finds nothing shared shares the oldest that is left") {
      CHECK(queue.pop(nullptr, note) == &items[2]);
      CHECK(offered == 2);
      CHECK(queue.steal() == &items[1]);
    }
    SUBCASE("the others are taken by force") {
      CHECK(queue.steal_by_force(no_fence) == &items[1]);
      CHECK(queue.steal_by_force(no_fence) == &items[2]);
      CHECK(queue.steal_by_force(no_fence) == nullptr);
      CHECK(!queue.hides());
      CHECK(queue.pop() == nullptr);
    }
  }

  TEST_CASE("a thief can leave what does not stay") {
    int items[3];
    fork_deque<int> queue;
    int gone = 0;
    int pauses = 0;
    const auto nothing_happens = [&pauses] { ++pauses; };
    CHECK(queue.steal_what_stays(nothing_happens, gone) == nullptr);
    CHECK(pauses == 0);
    for (int& i : items) REQUIRE(queue.push(&i));

    SUBCASE("what stays is taken") {
      CHECK(queue.steal_what_stays(nothing_happens, gone) == &items[0]);
      CHECK(gone == 0);
    }
    SUBCASE("newer ones may come and go") {
      CHECK(queue.steal_what_stays([&] { CHECK(queue.pop() == &items[2]); }, gone) == &items[0]);
      CHECK(gone == 0);
    }
    SUBCASE("its owner takes it back") {
      const auto take_back = [&] {
        for (int i = 3; i-- != 0;) CHECK(queue.pop() == &items[i]);
      };
      CHECK(queue.steal_what_stays(take_back, gone) == nullptr);
      CHECK(gone == 1);
    }
    SUBCASE("its owner takes it back and offers another one in its place") {
      const auto replace = [&] {
        for (int i = 3; i-- != 0;) CHECK(queue.pop() == &items[i]);
        for (int& i : items) REQUIRE(queue.push(&i));
      };
      CHECK(queue.steal_what_stays(replace, gone) == nullptr);
      CHECK(gone == 1);
      CHECK(queue.steal_what_stays(nothing_happens, gone) == &items[0]);
    }
    SUBCASE("another thief takes it") {
      CHECK(queue.steal_what_stays([&] { CHECK(queue.steal() == &items[0]); }, gone) == nullptr);
      CHECK(gone == 1);
    }
  }

  TEST_CASE("a pop that expects an item takes no other one") {
    int items[2];
    fork_deque<int> queue;
    CHECK(queue.pop(&items[0]) == nullptr);
    for (int& i : items) REQUIRE(queue.push(&i));
    CHECK(queue.pop(&items[0]) == nullptr);
    CHECK(queue.pop(&items[1]) == &items[1]);
    CHECK(queue.steal() == &items[0]);
    CHECK(queue.pop(&items[0]) == nullptr);  // though its slot still says so
  }

  TEST_CASE("quietly done is what needs neither a swap nor a call") {
    using weft::detail::fork_push;
    int items[4];
    fork_deque<int> queue(forks_taken_by::thieves, 2);
    CHECK(!queue.pop_quietly(&items[0]));
    CHECK(queue.push_quietly(&items[0]) == fork_push::unshared);
    CHECK(!queue.offers());
    CHECK(queue.share_oldest());
    CHECK(queue.offers());
    CHECK(!queue.pop_quietly(&items[0]));  // a thief may be after it
    CHECK(queue.push_quietly(&items[1]) == fork_push::done);
    CHECK(queue.push_quietly(&items[2]) == fork_push::no_room);
    REQUIRE(queue.push(&items[2]));
    CHECK(!queue.pop_quietly(&items[1]));  // not the newest
    CHECK(queue.pop_quietly(&items[2]));
    CHECK(queue.steal() == &items[0]);
    CHECK(!queue.pop_quietly(&items[1]));  // nothing is shared any more
    CHECK(queue.pop(&items[1]) == &items[1]);
    CHECK(!queue.pop_quietly(&items[1]));  // though its slot still says so
    CHECK(!queue.share_oldest());
    CHECK(!queue.hides());
  }

  TEST_CASE("a fork that nobody steals writes its slot and the owner's index, and swaps nothing") {
    using slots = counting_atomic<int*>;
    using indices = counting_atomic<std::int64_t>;
    int items[2];
    fork_deque<int, counting_atomics> queue;
    REQUIRE(queue.push(&items[0]));  // the oldest, which is shared
    slots::stores = indices::stores = indices::swaps = 0;
    for (int i = 0; i != 1000; ++i) {
      REQUIRE(queue.push(&items[1]));
      REQUIRE(queue.pop(&items[1]) == &items[1]);
    }
    CHECK(slots::stores == 1000);
    CHECK(indices::stores == 2000);  // the owner's index, twice each time
    CHECK(indices::swaps == 0);

    // The same where the oldest has been stolen: it is shared anew, once.
    CHECK(queue.steal() == &items[0]);
    REQUIRE(queue.push(&items[0]));
    indices::stores = indices::swaps = 0;
    REQUIRE(queue.push(&items[1]));
    REQUIRE(queue.pop(&items[1]) == &items[1]);
    CHECK(indices::stores == 2);
    CHECK(indices::swaps == 0);
  }

  TEST_CASE("nothing is shared of a deque that is the owner's alone") {
    int items[5];
    for (const std::int64_t start : starts) {
      fork_deque<int> queue(forks_taken_by::owner, 2, start);
      int offered = 0;
      for (int round = 0; round != 3; ++round) {
        CHECK(queue.pop() == nullptr);
        for (int& i : items) REQUIRE(queue.push(&i, [&offered] { ++offered; }));
        CHECK(queue.hides());
        CHECK(!queue.offers());
        for (int i = 5; i-- != 0;) CHECK(queue.pop() == &items[i]);
        CHECK(!queue.hides());
      }
      CHECK(offered == 0);
    }
  }

  TEST_CASE("an empty deque gives null and stays usable") {
    int item = 0;
    fork_deque<int> queue(forks_taken_by::thieves, 2);
    for (int round = 0; round != 4; ++round) {
      CHECK(queue.pop() == nullptr);
      CHECK(queue.steal() == nullptr);
      CHECK(queue.steal_by_force(no_fence) == nullptr);
      CHECK(!queue.hides());
      REQUIRE(queue.push(&item));
      int* const taken = round == 1   ? queue.steal()
                         : round == 2 ? queue.steal_by_force(no_fence)
                                      : queue.pop();
      CHECK(taken == &item);
    }
  }

  TEST_CASE("a capacity that is no power of two is rounded up") {
    int items[5];
    fork_deque<int> queue(forks_taken_by::thieves, 3);
    for (int& i : items) REQUIRE(queue.push(&i));
    for (int i = 5; i-- != 0;) CHECK(queue.pop() == &items[i]);
  }

  TEST_CASE("it grows in order, wherever its indices start") {
    std::vector<int> items(1000);
    for (const std::int64_t start : starts) {
      CAPTURE(start);
      fork_deque<int> queue(forks_taken_by::thieves, 2, start);
      for (int& i : items) REQUIRE(queue.push(&i));
      for (std::size_t i = 0; i != 500; ++i) REQUIRE(queue.steal_by_force(no_fence) == &items[i]);
      for (std::size_t i = 1000; i-- != 500;) REQUIRE(queue.pop() == &items[i]);
      CHECK(queue.pop() == nullptr);
    }
  }

  TEST_CASE("it does what a double-ended queue does, wherever its indices start") {
    std::vector<int> items(64);
    for (const std::int64_t start : starts) {
      CAPTURE(start);
      std::mt19937 random(7);
      fork_deque<int> queue(forks_taken_by::thieves, 2, start);
      std::deque<int*> model;
      for (int step = 0; step != 20'000; ++step) {
        const auto dice = random() % 5;
        if (dice < 2 && model.size() < items.size()) {
          int* const item = &items[random() % items.size()];
          REQUIRE(queue.push(item));
          model.push_back(item);
        } else if (dice == 2) {
          int* expected = nullptr;
          if (!model.empty()) expected = model.back(), model.pop_back();
          REQUIRE(queue.pop() == expected);
        } else if (!queue.offers() || dice == 4) {
          int* expected = nullptr;
          if (!model.empty()) expected = model.front(), model.pop_front();
          REQUIRE(queue.steal_by_force(no_fence) == expected);
        } else {
          REQUIRE(!model.empty());
          REQUIRE(queue.steal() == model.front());
          model.pop_front();
        }
        REQUIRE(queue.hides() == !model.empty());
        if (dice <= 2) REQUIRE(queue.offers() == !model.empty());
      }
    }
  }

  // Gives memory as long as there is some.
  std::size_t allocations_left = 0;
  std::size_t blocks_alive = 0;
  template <class U>
  struct scarce {
    using value_type = U;
    scarce() = default;
    template <class V>
    explicit(false) scarce(const scarce<V>&) noexcept {}
    U* allocate(std::size_t n) {
      if (allocations_left == 0) throw std::bad_alloc{};
      --allocations_left;
      ++blocks_alive;
      return std::allocator<U>{}.allocate(n);
    }
    void deallocate(U* p, std::size_t n) noexcept {
      --blocks_alive;
      std::allocator<U>{}.deallocate(p, n);
    }
    bool operator==(const scarce&) const = default;
  };

  TEST_CASE("a push that cannot grow declines and changes nothing") {
    int items[8];
    {
      allocations_left = 1;
      fork_deque<int, std_atomics, scarce<int*>> queue(forks_taken_by::thieves, 2);
      REQUIRE(queue.push(&items[0]));
      REQUIRE(queue.push(&items[1]));
      CHECK(!queue.push(&items[2]));
      CHECK(queue.steal() == &items[0]);
      CHECK(queue.push(&items[2]));
      allocations_left = 1;
      CHECK(queue.push(&items[3]));
      CHECK(queue.pop() == &items[3]);
      CHECK(queue.pop() == &items[2]);
      CHECK(queue.pop() == &items[1]);
      CHECK(blocks_alive == 2);
    }
    CHECK(blocks_alive == 0);
  }

  TEST_CASE("under real threads every item is taken once, with what it points to") {
    struct item {
      std::uint64_t value = 0;
      int taken = 0;
    };
    for (const std::int64_t start : starts) {
      CAPTURE(start);
      const auto count = static_cast<std::size_t>(weft::tests::repetitions(60'000, 10'000'000));
      std::vector<item> items(count);
      const bool forced = weft::system_kernel().heavy_fence() == 0;
      fork_deque<item> queue(forks_taken_by::thieves, 2, start);
      std::atomic<bool> done{false};
      std::atomic<std::uint64_t> sum{0}, taken{0};
      const auto take = [&](item* i) {
        ++i->taken;
        sum.fetch_add(i->value, std::memory_order_relaxed);
        taken.fetch_add(1, std::memory_order_relaxed);
      };
      std::vector<std::thread> thieves;
      for (int t = 0; t != 3; ++t) {
        thieves.emplace_back([&, t] {
          while (!done.load(std::memory_order_acquire)) {
            if (item* const i = queue.steal()) {
              take(i);
            } else if (t == 0 && forced && queue.hides()) {
              if (item* const hidden =
                      queue.steal_by_force([] { (void)weft::system_kernel().heavy_fence(); }))
                take(hidden);
            } else {
              std::this_thread::yield();
            }
          }
        });
      }
      std::mt19937 random(3);
      std::size_t refused = 0;
      for (std::size_t next = 0; next != count;) {
        // Short runs fight for the last item, long ones grow.
        const std::size_t run = random() % 16 == 0 ? 200 : random() % 4;
        for (std::size_t i = 0; i != run && next != count; ++i) {
          items[next].value = next + 1;
          if (!queue.push(&items[next++])) ++refused;
        }
        for (std::size_t i = random() % (run + 2); i-- != 0;) {
          if (item* const mine = queue.pop()) take(mine);
        }
      }
      while (item* const mine = queue.pop()) take(mine);
      done.store(true, std::memory_order_release);
      for (std::thread& t : thieves) t.join();
      CHECK(refused == 0);
      CHECK(taken.load() == count);
      CHECK(sum.load() == count * (count + 1) / 2);
      CHECK(std::all_of(items.begin(), items.end(), [](const item& i) { return i.taken == 1; }));
    }
  }
}

}  // namespace

}  // namespace fork_deque_test
