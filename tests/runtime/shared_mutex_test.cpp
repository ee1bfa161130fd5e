// SPDX-License-Identifier: MIT
#include "weft/runtime/shared_mutex.hpp"

#include "support/both_schedulers.hpp"
#include "support/dying_words.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace shared_mutex_test {

using namespace weft;
using tests::on_both;

namespace {

task<> writer_of(shared_mutex& m, std::string& log, char me) {
  const result<exclusive_lock> lock = co_await as_result(m.lock());
  log += lock ? me : '-';
  (void)co_await as_result(yield());
}

/// Holds it until `gate` opens, when there is one.
task<> reader_of(shared_mutex& m, std::string& log, char me, event* gate) {
  const shared_lock lock = co_await m.lock_shared();
  log += me;
  if (gate != nullptr) co_await gate->wait();
}

}  // namespace

TEST_SUITE("runtime/shared_mutex") {
  TEST_CASE("readers share, a writer is alone") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        shared_mutex m;
        {
          const shared_lock one = co_await m.lock_shared();
          const shared_lock two = co_await m.lock_shared();
          CHECK(m.try_lock_shared().has_value());
          CHECK_FALSE(m.try_lock().has_value());
        }
        {
          const exclusive_lock alone = co_await m.lock();
          CHECK_FALSE(m.try_lock_shared().has_value());
          CHECK_FALSE(m.try_lock().has_value());
        }
        CHECK(m.try_lock().has_value());
      }());
    });
  }

  TEST_CASE("a lock is given back early, or by moving another one into it") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        shared_mutex m;
        shared_mutex other;
        exclusive_lock lock = co_await m.lock();
        exclusive_lock second = co_await other.lock();
        lock = std::move(second);
        CHECK(m.try_lock().has_value());
        CHECK_FALSE(other.try_lock().has_value());
        lock.unlock();
        lock.unlock();
        CHECK(other.try_lock().has_value());
      }());
    });
  }

  TEST_CASE(
      "a writer that waits stops the readers that come after it, and all come in their order") {
    std::string log;
    run([](std::string& out) -> task<> {
      shared_mutex m;
      event gate;
      auto body = [&](task_group& g) -> task<> {
        g.spawn(reader_of, std::ref(m), std::ref(out), 'a', &gate);
        g.spawn(reader_of, std::ref(m), std::ref(out), 'b', &gate);
        g.spawn(writer_of, std::ref(m), std::ref(out), 'C');
        g.spawn(reader_of, std::ref(m), std::ref(out), 'd', nullptr);
        g.spawn(reader_of, std::ref(m), std::ref(out), 'e', nullptr);
        g.spawn(writer_of, std::ref(m), std::ref(out), 'F');
        co_await yield();
        CHECK(out == "ab");
        CHECK_FALSE(m.try_lock_shared().has_value());
        gate.set();
      };
      co_await with_task_group(body);
    }(log));
    CHECK(log == "abCdeF");
  }

  TEST_CASE("readers beside each other in the queue get in together") {
    std::string log;
    run([](std::string& out) -> task<> {
      shared_mutex m;
      event gate;
      std::optional<exclusive_lock> held = m.try_lock();
      auto body = [&](task_group& g) -> task<> {
        for (const char me : {'a', 'b', 'c'})
          g.spawn(reader_of, std::ref(m), std::ref(out), me, &gate);
        co_await yield();
        CHECK(out.empty());
        held.reset();
        co_await yield();
        CHECK(out == "abc");  // all three hold it
        gate.set();
      };
      co_await with_task_group(body);
    }(log));
    CHECK(log == "abc");
  }

  TEST_CASE("a writer that is cancelled lets the readers behind it through") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        shared_mutex m;
        event gate;
        std::atomic<int> inside = 0;
        std::string log;
        const shared_lock held = co_await m.lock_shared();
        auto body = [&](task_group& g) -> task<> {
          auto reader = [&]() -> task<> {
            const shared_lock lock = co_await m.lock_shared();
            if (++inside == 3) gate.set();
            co_await gate.wait();
          };
          auto writers = [&](task_group& w) -> task<> {
            w.spawn(writer_of, std::ref(m), std::ref(log), 'W');
            while (m.try_lock_shared().has_value()) co_await yield();  // until it waits
            g.spawn_n(3, reader);
            for (int i = 0; i < 10; ++i) co_await yield();
            CHECK(inside == 0);
            w.cancel();
          };
          co_await with_task_group(writers);
        };
        co_await with_task_group(body);
        CHECK(inside == 3);
        CHECK(log == "-");
      }());
    });
  }

  TEST_CASE("a stop that races with an unlock loses neither the lock nor those who wait behind") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (int round = 0; round < 300; ++round) {
          shared_mutex m;
          std::string log;
          std::optional<shared_lock> held = m.try_lock_shared();
          auto body = [&](task_group& g) -> task<> {
            auto writers = [&](task_group& w) -> task<> {
              w.spawn(writer_of, std::ref(m), std::ref(log), 'W');
              for (int i = 0; i < round % 5; ++i) (void)co_await as_result(yield());
              g.spawn([&]() -> task<> { const shared_lock lock = co_await m.lock_shared(); });
              auto unlock = [&]() -> task<> {
                held.reset();
                co_return;
              };
              w.spawn(unlock);
              w.cancel();
            };
            co_await with_task_group(writers);
          };
          co_await with_task_group(body);
          CHECK(log.size() == 1);
          CHECK(m.try_lock().has_value());
        }
      }());
    });
  }

  TEST_CASE("a sum that writers add to is exact, and readers never see half of it") {
    const auto body = [](const run_options& options) {
      long one = 0;
      long other = 0;
      std::atomic<int> torn = 0;
      run(options, [](long& a, long& b, std::atomic<int>& bad) -> task<> {
        shared_mutex m;
        auto writer = [&]() -> task<> {
          for (int i = 0; i < 500; ++i) {
            const exclusive_lock lock = co_await m.lock();
            ++a;
            if (i % 32 == 0) co_await yield();
            ++b;
          }
        };
        auto reader = [&]() -> task<> {
          for (int i = 0; i < 500; ++i) {
            const shared_lock lock = co_await m.lock_shared();
            if (a != b) ++bad;
            if (i % 32 == 0) co_await yield();
            if (a != b) ++bad;
          }
        };
        auto all = [&](task_group& g) -> task<> {
          g.spawn_n(3, writer);
          g.spawn_n(5, reader);
          co_return;
        };
        co_await with_task_group(all);
      }(one, other, torn));
      CHECK(one == 1500);
      CHECK(other == 1500);
      CHECK(torn == 0);
    };
    on_both(body);
    body({.workers = 4});
  }

  TEST_CASE("destroying a shared_mutex that a task waits for ends the program with a message") {
    const std::string said = tests::dying_words([] {
      run([]() -> task<> {
        auto m = std::make_unique<shared_mutex>();
        auto body = [&m](task_group& g) -> task<> {
          exclusive_lock held = co_await m->lock();
          g.spawn([](shared_mutex& x) -> task<> { auto l = co_await x.lock(); }, std::ref(*m));
          co_await yield();
          m.reset();
        };
        co_await with_task_group(body);
      }());
    });
    CHECK(said.find("a shared_mutex was destroyed while tasks wait") != std::string::npos);
  }

  TEST_CASE("destroying a locked shared_mutex ends the program with a message") {
    const std::string said = tests::dying_words([] {
      auto m = std::make_unique<shared_mutex>();
      const std::optional<shared_lock> held = m->try_lock_shared();
      m.reset();
    });
    CHECK(said.find("a shared_mutex was destroyed while it is locked") != std::string::npos);
  }
}

}  // namespace shared_mutex_test
