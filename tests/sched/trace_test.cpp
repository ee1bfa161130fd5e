// SPDX-License-Identifier: MIT
// What a lane stores, and what the picture and the trace file make of it.

#include "weft/sched/trace.hpp"

#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/detail/trace_bars.hpp"
#include "weft/sched/detail/trace_text.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace trace_test {

using weft::trace_lane;
using weft::trace_recording;
using weft::trace_span;
namespace detail = weft::detail;

namespace {

trace_span span(std::int64_t begin_ns, std::int64_t end_ns, std::uint64_t task,
                const char* name = nullptr) {
  return {begin_ns, end_ns, task, name, "file.cpp", 7};
}

std::size_t count(std::string_view text, std::string_view word) {
  std::size_t found = 0;
  for (auto at = text.find(word); at != text.npos; at = text.find(word, at + 1)) ++found;
  return found;
}

std::string xml(std::string_view text) {
  std::string out;
  detail::append_xml(out, text);
  return out;
}

std::string json(std::string_view text) {
  std::string out;
  detail::append_json(out, text);
  return out;
}

}  // namespace

TEST_SUITE("sched/trace") {
  TEST_CASE("a lane keeps spans in order") {
    trace_lane lane{"loop"};
    lane.add(span(0, 10, 1));
    lane.add(span(10, 20, 2));
    CHECK(lane.name() == "loop");
    REQUIRE(lane.size() == 2);
    CHECK(lane[0].task == 1);
    CHECK(lane[1].end_ns == 20);
    CHECK(lane.dropped() == 0);
  }

  TEST_CASE("a million tiny steps of one task take one span") {
    trace_lane lane{"loop", 16};
    for (std::int64_t i = 0; i < 1'000'000; ++i) lane.add(span(i * 100, i * 100 + 50, 7));
    REQUIRE(lane.size() == 1);
    CHECK(lane[0].begin_ns == 0);
    CHECK(lane[0].end_ns == 99'999'950);
    CHECK(lane.dropped() == 0);
  }

  TEST_CASE("a wait of a microsecond separates the spans of one task") {
    trace_lane lane{"loop"};
    lane.add(span(0, 100, 7));
    lane.add(span(1099, 1200, 7));
    CHECK(lane.size() == 1);
    lane.add(span(2200, 2300, 7));
    CHECK(lane.size() == 2);
  }

  TEST_CASE("a merged span came back from where its first step came back from") {
    trace_lane lane{"loop"};
    lane.add({0, 10, 7, "f", "a.cpp", 1});
    lane.add({10, 20, 7, "f", "b.cpp", 2});
    REQUIRE(lane.size() == 1);
    CHECK(std::string_view{lane[0].file} == "a.cpp");
    CHECK(lane[0].line == 1);
  }

  TEST_CASE("a full lane counts what it drops and when") {
    trace_lane lane{"loop", 5000};  // more than one chunk, the last one in part
    for (std::int64_t i = 0; i < 6000; ++i) {
      lane.add(span(i * 10, i * 10 + 5, static_cast<std::uint64_t>(i)));
    }
    CHECK(lane.size() == 5000);
    CHECK(lane[4999].task == 4999);
    CHECK(lane.dropped() == 1000);
    CHECK(lane.dropped_begin_ns() == 50'000);
    CHECK(lane.dropped_end_ns() == 59'995);
  }

  TEST_CASE("a span behind a hole does not lengthen the one before it") {
    trace_lane lane{"loop", 1};
    lane.add(span(0, 10, 1));
    lane.add(span(10, 20, 2));  // dropped
    lane.add(span(20, 30, 1));
    CHECK(lane.size() == 1);
    CHECK(lane[0].end_ns == 10);
    CHECK(lane.dropped() == 2);
  }

  TEST_CASE("a lane without room stores nothing") {
    trace_lane lane{"loop", 0};
    lane.add(span(0, 10, 1));
    CHECK(lane.size() == 0);
    CHECK(lane.dropped() == 1);
  }

  TEST_CASE("lanes may be added and written by several threads at once") {
    trace_recording recording;
    std::vector<std::jthread> threads;
    for (std::uint64_t t = 0; t < 4; ++t) {
      threads.emplace_back([&recording, t] {
        for (int run = 0; run < 50; ++run) {
          recording.add_lane("worker " + std::to_string(t)).add(span(run, run + 1, t));
        }
      });
    }
    threads.clear();
    REQUIRE(recording.groups().size() == 1);
    REQUIRE(recording.groups()[0].sections.size() == 1);
    CHECK(recording.groups()[0].sections[0].lanes.size() == 200);
  }

  TEST_CASE("an empty recording gives an empty trace and a picture that says so") {
    const trace_recording recording;
    CHECK(recording.perfetto() == "{\"traceEvents\":[\n],\"displayTimeUnit\":\"ms\"}\n");
    CHECK(count(recording.svg(), "Nothing was recorded.") == 1);
    CHECK(recording.svg().ends_with("</svg>\n"));
  }

  TEST_CASE("a section without spans is drawn beside one with spans") {
    trace_recording recording;
    recording.begin_section("empty");
    recording.add_lane("idle");
    recording.begin_section("busy");
    recording.add_lane("loop").add(span(0, 1000, 1));
    CHECK(count(recording.svg(), "No task ran.") == 1);
    CHECK(count(recording.svg(), "1 task on one thread: 1.00 µs of work in 1.00 µs") == 1);
  }

  TEST_CASE("each span is a complete event with its section as process and its lane as thread") {
    trace_recording recording;
    recording.begin_group("waiting");
    recording.begin_section("loop");
    recording.add_lane("main").add(span(5'000, 6'234, 3, "weft::task<> fetch(int)"));
    recording.begin_section("pool");
    recording.add_lane("worker 0");
    recording.add_lane("worker 1").add({9'000, 9'001, 4, nullptr, nullptr, 0});
    const std::string trace = recording.perfetto();
    CHECK(count(trace,
                R"("name":"process_name","pid":1,"tid":0,"args":{"name":"waiting: loop"})") == 1);
    CHECK(count(trace, R"("name":"thread_name","pid":2,"tid":2,"args":{"name":"worker 1"})") == 1);
    CHECK(count(trace, R"({"ph":"X","name":"fetch","cat":"task","pid":1,"tid":1,"ts":0.000,)"
                       R"("dur":1.234,"args":{"task":1,"after":"file.cpp:7"}})") == 1);
    CHECK(count(trace, R"({"ph":"X","name":"task 1","cat":"task","pid":2,"tid":2,"ts":4.000,)"
                       R"("dur":0.001,"args":{"task":1}})") == 1);
  }

  TEST_CASE("what was dropped is one event and a hatched part of the picture") {
    trace_recording recording{1};
    auto& lane = recording.add_lane("loop");
    for (std::int64_t i = 0; i < 4; ++i) lane.add(span(i * 10, i * 10 + 9, std::uint64_t(i)));
    CHECK(count(recording.perfetto(), R"("name":"not recorded")") == 1);
    CHECK(count(recording.perfetto(), R"("stretches":3)") == 1);
    CHECK(count(recording.svg(), R"(<path class="d")") == 1);
    CHECK(count(recording.svg(), "3 stretches were not recorded") == 1);
  }

  TEST_CASE("names of any bytes leave XML and JSON valid") {
    CHECK(xml("a<b> & \"c\"") == "a&lt;b&gt; &amp; &quot;c&quot;");
    CHECK(xml("\x01\xFFx\xC3") == "\uFFFD\uFFFDx\uFFFD");
    CHECK(xml("\xEF\xBF\xBF") == "\uFFFD");
    CHECK(xml("µ → 😀") == "µ → 😀");
    CHECK(json("a\"b\\c\n\t\x02") == "a\\\"b\\\\c\\n\\t\\u0002");
    CHECK(json("\xED\xA0\x80") == "\uFFFD\uFFFD\uFFFD");  // a surrogate
    CHECK(json("\xC0\xAF") == "\uFFFD\uFFFD");            // an overlong slash
    trace_recording recording;
    recording.begin_section("<&\">", "]]>");
    recording.add_lane("\xFF").add(span(0, 1, 1, "\x7F\""));
    CHECK(count(recording.svg(), "&lt;&amp;&quot;&gt;") == 1);
    CHECK(count(recording.perfetto(), "\"name\":\"\\u007f\\\"\"") == 1);
  }

  TEST_CASE("a picture of a million spans stays below a megabyte") {
    trace_recording recording{250'000};
    for (int section = 0; section < 4; ++section) {
      recording.begin_group("group");
      recording.begin_section("section");
      auto& lane = recording.add_lane("loop");
      for (std::int64_t i = 0; i < 250'000; ++i) {
        lane.add(span(i * 9'000, i * 9'000 + 7'000, std::uint64_t(i % 97), "a<b>c<d>(int)"));
      }
      CHECK(lane.size() == 250'000);
    }
    CHECK(recording.svg().size() < 1'000'000);
  }

  TEST_CASE("a section much shorter than its group is shown a second time, magnified") {
    trace_recording recording;
    recording.begin_section("long");
    recording.add_lane("loop").add(span(0, 1'000'000, 1));
    recording.begin_section("short");
    recording.add_lane("loop").add(span(2'000'000, 2'050'000, 2));
    CHECK(count(recording.svg(), "magnified 20 ×") == 1);
    CHECK(count(recording.svg(), "task 1: 50.0 µs") == 2);
  }

  TEST_CASE("narrow spans that lie close together become one bar, wide ones stay alone") {
    trace_lane lane{"loop"};
    lane.add(span(0, 10, 1));
    lane.add(span(15, 40, 2));    // joins, and makes the bar wide enough for nothing more
    lane.add(span(200, 210, 3));  // too far away
    lane.add(span(211, 400, 4));  // wide
    lane.add(span(401, 402, 5));
    const auto bars = detail::bars_of({"loop", {&lane}}, 40);
    REQUIRE(bars.size() == 4);
    CHECK(bars[0].stretches == 2);
    CHECK(bars[0].busy_ns == 35);
    CHECK(bars[0].end_ns == 40);
    CHECK(bars[0].span->task == 2);
    CHECK(bars[2].span->task == 4);
    CHECK(bars[3].begin_ns == 401);
  }

  TEST_CASE("tasks are numbered as they appear and keep a name learned late") {
    trace_recording recording;
    recording.begin_section("run");
    auto& lane = recording.add_lane("loop");
    lane.add({0, 10, 0xFFFF0000, "", "", 0});
    lane.add({10, 20, 0xFFFF0090, nullptr, nullptr, 0});
    lane.add({3000, 3010, 0xFFFF0000, "void weft::detail::run_child(int)", "file.cpp", 7});
    lane.add({5000, 5010, 0xFFFF0000, "weft::task<> fetch(int)", "file.cpp", 7});
    const auto tasks = detail::tasks_of(recording.groups()[0].sections[0]);
    REQUIRE(tasks.size() == 2);
    CHECK(tasks.at(0xFFFF0000).text() == "fetch (task 1)");
    CHECK(tasks.at(0xFFFF0090).text() == "task 2");
  }

  TEST_CASE("lanes of one name share a row when they follow one another") {
    trace_recording recording;
    recording.begin_section("runs");
    recording.add_lane("loop").add(span(0, 10, 1));
    recording.add_lane("loop").add(span(10, 20, 2));
    recording.add_lane("loop").add(span(15, 30, 3));  // at the same time: a row of its own
    recording.add_lane("loop");
    const auto rows = detail::rows_of(recording.groups()[0].sections[0]);
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].lanes.size() == 2);
  }

  TEST_CASE("what compilers call a coroutine is shortened to its name") {
    const auto name = [](std::string_view pretty) { return detail::short_function_name(pretty); };
    CHECK(name("weft::task<> fetch(int, std::vector<int>)") == "fetch");
    CHECK(name("void fetch(fetch(int, std::vector<int>)::_ZL5fetchiSt6vector.Frame*)") == "fetch");
    CHECK(name("task<void> ns::S::mem(U, std::vector<int>) [U = double]") == "ns::S::mem");
    CHECK(name("auto main()::(anonymous class)::operator()(int) const") == "lambda in main");
    CHECK(name("void main()::<lambda(int)>::operator()(main()::<lambda(int)>::_ZZ4mainE.Frame*)") ==
          "lambda in main");
    CHECK(name("fetch") == "fetch");
    CHECK(name("") == "");
    CHECK(name("(((") == "(((");
  }

  TEST_CASE("durations are printed with three digits") {
    CHECK(detail::duration_text(0) == "0 ns");
    CHECK(detail::duration_text(999) == "999 ns");
    CHECK(detail::duration_text(1'000) == "1.00 µs");
    CHECK(detail::duration_text(20'140'000) == "20.1 ms");
    CHECK(detail::duration_text(999'990'000) == "1.00 s");
    CHECK(detail::duration_text(317'400) == "317 µs");
  }

  TEST_CASE("long texts are cut and wrapped between code points and words") {
    CHECK(detail::shortened("µµµµ", 4) == "µµµµ");
    CHECK(detail::shortened("µµµµµ", 4) == "µµµ…");
    CHECK(detail::wrapped("one two  three", 7) == std::vector<std::string>{"one two", "three"});
    CHECK(detail::wrapped("", 7).empty());
  }

  TEST_CASE("tasks that take turns on a loop show as bars in turn on one lane") {
    const auto take_turns = []() -> weft::task<> {
      for (int i = 0; i < 3; ++i) co_await weft::yield();
    };
    trace_recording recording;
    weft::run({.workers = 1, .trace = &recording}, [](auto turns) -> weft::task<> {
      co_await weft::when_all(turns(), turns());
    }(take_turns));
    const auto& lanes = recording.groups().at(0).sections.at(0).lanes;
    REQUIRE(lanes.size() == 1);
    int changes = 0;
    for (std::size_t i = 1; i < lanes[0]->size(); ++i) {
      changes += (*lanes[0])[i].task != (*lanes[0])[i - 1].task;
      CHECK((*lanes[0])[i].begin_ns >= (*lanes[0])[i - 1].end_ns);
    }
    CHECK(changes >= 6);
  }

  TEST_CASE("tasks that run at the same time on a pool show as bars above each other") {
    std::atomic<int> running = 0;
    const auto meet = [&running]() -> weft::task<> {
      ++running;
      while (running < 2) std::this_thread::yield();  // until the other one runs, too
      co_return;
    };
    auto body = [&](weft::task_group& group) -> weft::task<> {
      group.spawn_n(2, meet);
      co_return;
    };
    trace_recording recording;
    weft::run({.workers = 2, .trace = &recording}, weft::with_task_group(body));
    const auto& lanes = recording.groups().at(0).sections.at(0).lanes;
    REQUIRE(lanes.size() == 2);
    bool together = false;
    for (std::size_t i = 0; i < lanes[0]->size(); ++i) {
      for (std::size_t k = 0; k < lanes[1]->size(); ++k) {
        const trace_span& one = (*lanes[0])[i];
        const trace_span& other = (*lanes[1])[k];
        together |= one.begin_ns < other.end_ns && other.begin_ns < one.end_ns;
      }
    }
    CHECK(together);
  }

  TEST_CASE("children that never wait are told apart, the first from its parent, too") {
    const auto child = []() -> weft::task<int> { co_return 1; };
    const auto parent = [&]() -> weft::task<std::vector<int>> {
      std::vector<weft::task<int>> children;
      for (int i = 0; i < 100; ++i) children.push_back(child());
      co_return co_await weft::when_all(std::move(children));
    };
    for (const unsigned workers : {1U, 2U}) {
      trace_recording recording;
      CHECK(weft::run({.workers = workers, .trace = &recording}, parent()).size() == 100);
      std::set<std::uint64_t> tasks;
      for (const auto& lane : recording.groups().at(0).sections.at(0).lanes)
        for (std::size_t i = 0; i < lane->size(); ++i) tasks.insert((*lane)[i].task);
      CHECK(tasks.size() == 101);
    }
  }

  TEST_CASE("tasks that use the same memory one after the other are told apart") {
    const auto nothing = []() -> weft::task<> { co_return; };
    auto body = [&](weft::task_group& group) -> weft::task<> {
      for (int i = 0; i < 5; ++i) co_await group.spawn(nothing);
    };
    trace_recording recording;
    weft::run({.workers = 1, .trace = &recording}, weft::with_task_group(body));
    REQUIRE(recording.groups().size() == 1);
    const auto tasks = detail::tasks_of(recording.groups()[0].sections[0]);
    CHECK(tasks.size() == 6);  // the main task and its five children
    for (const auto& [id, task] : tasks) {
      const std::string name = task.function();
      CAPTURE(name);
      CHECK(name.find("weft::detail") == name.npos);
    }
  }

  TEST_CASE("a file that cannot be written is named by the error") {
    const trace_recording recording;
    const auto message = [](auto&& write) -> std::string {
      try {
        write();
      } catch (const std::system_error& e) {
        return e.what();
      }
      return "";
    };
    const std::string missing = message([&] { recording.write_svg("/no/such/folder/a.svg"); });
    CHECK(missing.find("/no/such/folder/a.svg") != missing.npos);
    if (std::filesystem::exists("/dev/full")) {
      const std::string full = message([&] { recording.write_perfetto("/dev/full"); });
      CHECK(full.find("/dev/full") != full.npos);
      CHECK(full.find("No space") != full.npos);
    }
  }
}

}  // namespace trace_test
