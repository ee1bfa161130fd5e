// SPDX-License-Identifier: MIT
#include "engine.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <string_view>

namespace weft::explore {

namespace {

constexpr unsigned steps_max = 20'000;  // of one execution: beyond it, it does not come to an end
constexpr unsigned steps_told = 400;

engine* the_engine = nullptr;

}  // namespace

void engine::switch_to(unsigned index) {
  fiber& from = *fibers_[on_fiber_];
  on_fiber_ = index;
  if (index != max_threads) {
    self_ = index;
    if (scenario_.on_switch_ != nullptr) scenario_.on_switch_(index);
  }
  from.switch_to(*fibers_[index]);
}

// A fiber serves the same thread number in all executions, and thread 0's several jobs.
void engine::fiber_main() {
  engine& e = *the_engine;
  const unsigned me = e.on_fiber_;
  fiber::entered(*e.fibers_[max_threads]);
  for (;;) {
    try {
      if (me == 0) {
        e.job_0_();
      } else {
        e.scenario_.threads_[me - 1]();
      }
    } catch (const std::exception& error) {
      e.fail(std::string("exception: ") + error.what());
    }
    e.threads_[me].finished = true;
    e.switch_to(max_threads);
  }
}

// ---- choices

engine::engine(const options& how) : how_(how) {
  for (unsigned i = 0; i != max_threads; ++i) {
    fibers_[i] = std::make_unique<fiber>(&engine::fiber_main);
  }
  fibers_[max_threads] = std::make_unique<fiber>();
  the_engine = this;
}

engine::~engine() { the_engine = nullptr; }

engine& engine::active() {
  if (the_engine == nullptr) {
    std::fputs("weft::explore: atomics of the explorer are used outside of a scenario\n", stderr);
    std::abort();
  }
  return *the_engine;
}

// The heart of it: which of `count` ways to go. A path is the list of such answers; the systematic
// search goes through all paths like through the numbers of a counter, newest digit first.
unsigned engine::choose(unsigned count, bool prefer_first) {
  if (count == 1) return 0;
  if (cursor_ == path_.size()) {
    std::uint32_t chosen = 0;
    if (mode_ == mode::random) {
      random_state_ += 0x9e3779b97f4a7c15U;  // splitmix64
      std::uint64_t z = random_state_;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
      z ^= z >> 31;
      const bool first = prefer_first && (z & 7) != 0;
      if (!first) chosen = static_cast<std::uint32_t>((z >> 3) % count);
    }
    path_.push_back({chosen, count});
  } else if (mode_ == mode::replay) {
    path_[cursor_].count = count;
  }
  if (path_[cursor_].count != count || path_[cursor_].chosen >= count) {
    fail("the scenario is not deterministic: it must not depend on time or addresses");
  }
  return path_[cursor_++].chosen;
}

bool engine::next_path() {
  while (!path_.empty() && path_.back().chosen + 1 == path_.back().count) path_.pop_back();
  if (path_.empty()) return false;
  ++path_.back().chosen;
  return true;
}

// The two bounds, then the answers, a run of zeros (most of them are) as "z<length>".
std::string engine::path_text() const {
  std::string text = std::to_string(preemption_bound_) + "." + std::to_string(stale_bound_);
  std::size_t end = path_.size();
  while (end != 0 && path_[end - 1].chosen == 0) --end;
  for (std::size_t i = 0; i != end;) {
    text += '.';
    std::size_t zeros = 0;
    while (path_[i + zeros].chosen == 0) ++zeros;
    text += zeros != 0 ? "z" + std::to_string(zeros) : std::to_string(path_[i].chosen);
    i += zeros != 0 ? zeros : 1;
  }
  return text;
}

void engine::parse_path(const std::string& text) {
  std::istringstream in(text);
  char dot = 0;
  in >> preemption_bound_ >> dot >> stale_bound_ >> dot;
  for (std::string word; std::getline(in, word, '.');) {
    if (word.empty()) continue;
    if (word[0] == 'z') {
      path_.insert(path_.end(), std::stoul(word.substr(1)), decision{0, 0});
    } else {
      path_.push_back({static_cast<std::uint32_t>(std::stoul(word)), 0});
    }
  }
}

bool engine::enabled(unsigned t) const {
  const thread_state& thread = threads_[t];
  return !thread.finished && (thread.ready == nullptr || thread.ready(thread.object));
}

unsigned engine::enabled_from(unsigned first, std::array<unsigned, max_threads>& list) const {
  unsigned n = 0;
  for (unsigned t = first; t < thread_count_; ++t) {
    if (enabled(t)) list[n++] = t;
  }
  for (unsigned t = 1; t < first; ++t) {
    if (enabled(t)) list[n++] = t;
  }
  return n;
}

void engine::step() {
  if (!scheduling_ || lenient_) return;
  if (++steps_ > steps_max) fail("livelock: the execution does not come to an end");
  const unsigned me = self_;
  if (preemptions_ == preemption_bound_) return;
  std::array<unsigned, max_threads> list{};
  const unsigned n = enabled_from(me, list);
  const unsigned next = list[choose(n, true)];
  if (next == me) return;
  ++preemptions_;
  switch_to(next);
}

std::memory_order engine::step(access what, std::memory_order order,
                               const std::source_location& where) {
  if (lenient_) return order;
  // Before a relaxed load or store nobody else needs to run: what that would show, later loads that
  // see an older value show too.
  if (what == access::rmw || order != std::memory_order_relaxed) step();
  for (const known_site& known : sites_) {
    if (known.at.what == what && same_place(known.at.where, where)) {
      return known.mutated ? how_.mutate->order : order;
    }
  }
  site fresh{where, what, order, 0};
  for (const known_site& known : sites_) {
    if (known.at.what == what && known.at.order == order &&
        function_name(known.at.where) == function_name(where)) {
      ++fresh.nth;
    }
  }
  const bool mutated =
      how_.mutate && how_.mutate->at.what == what && same_place(how_.mutate->at.where, where);
  sites_.push_back({fresh, mutated});
  return mutated ? how_.mutate->order : order;
}

void engine::heavy_fence() {
  if (lenient_) return;
  step();
  clock all;
  for (unsigned t = 0; t != thread_count_; ++t) all.join(threads_[t].seen);
  for (unsigned t = 0; t != thread_count_; ++t) threads_[t].fenced = all;
}

unsigned engine::choose_age(unsigned count) {
  if (!scheduling_ || count == 1) return 0;
  if (stale_reads_ == stale_bound_) return 0;
  const unsigned age = choose(count, true);
  if (age != 0) ++stale_reads_;
  return age;
}

void engine::block(bool (*ready)(const void*), const void* object) {
  if (lenient_) return;
  if (!scheduling_) fail("the set-up and the checks of a scenario must not wait");
  threads_[self_].ready = ready;
  threads_[self_].object = object;
  switch_to(max_threads);
  threads_[self_].ready = nullptr;
}

void engine::spin() {
  if (lenient_) return;
  block(
      [](const void* t) {
        const auto& thread = *static_cast<const thread_state*>(t);
        return *thread.looked_at != thread.changes_seen;
      },
      &threads_[self_]);
}

void engine::fail(const std::string& what) {
  if (!lenient_) {
    failed_ = true;
    failure_ = what;
    if (tracing_) {
      trace_.push_back("  thread " + std::to_string(self_) + ": " + what + "\n");
    }
    switch_to(max_threads);  // never to come back: the fiber is reset
  }
  std::fprintf(stderr, "weft::explore: %s\n", what.c_str());
  std::abort();
}

void engine::trace(const char* what, std::uint64_t value, std::memory_order order, unsigned age,
                   const std::source_location& where) {
  if (!tracing_) return;
  std::string_view file = where.file_name();
  file = file.substr(file.rfind('/') + 1);
  std::ostringstream line;
  line << "  thread " << self_ << ": " << function_name(where) << ' ' << what << " 0x" << std::hex
       << value << std::dec << ' ' << order_name(order);
  if (age != 0) line << ", " << age << " behind the newest";
  line << "  (" << file << ':' << where.line() << ")\n";
  trace_.push_back(line.str());
}

// ---- executions

void engine::as_thread_0(const std::function<void()>& job) {
  for (unsigned t = 1; t != thread_count_; ++t) threads_[0].seen.join(threads_[t].seen);
  job_0_ = job;
  threads_[0].finished = false;
  switch_to(0);
  job_0_ = nullptr;
}

void engine::run_threads() {
  scheduling_ = true;
  bool asked = false;
  for (;;) {
    std::array<unsigned, max_threads> list{};
    const unsigned n = enabled_from(self_ == 0 ? 1 : self_, list);
    if (n != 0) {
      switch_to(list[choose(n, false)]);
      if (failed_) return;
      continue;
    }
    const auto end = threads_.begin() + thread_count_;
    if (std::all_of(threads_.begin() + 1, end, [](const auto& t) { return t.finished; })) {
      break;
    }
    if (asked || scenario_.at_quiescence_ == nullptr) {
      failed_ = true;
      failure_ = "deadlock: no thread can go on, asleep are";
      for (unsigned t = 1; t != thread_count_; ++t) {
        if (!threads_[t].finished) failure_ += " " + std::to_string(t);
      }
      if (tracing_) trace_.push_back("  " + failure_ + "\n");
      return;
    }
    asked = true;
    scheduling_ = false;
    as_thread_0(scenario_.at_quiescence_);
    if (failed_) return;
    scheduling_ = true;
  }
  scheduling_ = false;
}

bool engine::execute(const std::function<void(scenario&)>& set_up) {
  cursor_ = 0;
  preemptions_ = stale_reads_ = steps_ = 0;
  threads_ = {};
  thread_count_ = 1;
  failed_ = lenient_ = scheduling_ = false;
  trace_.clear();
  as_thread_0([&] { set_up(scenario_); });
  if (!failed_) {
    thread_count_ = 1 + static_cast<unsigned>(scenario_.threads_.size());
    if (thread_count_ > max_threads) throw std::length_error("weft::explore: too many threads");
    for (unsigned t = 1; t != thread_count_; ++t) threads_[t].seen = threads_[0].seen;
    run_threads();
  }
  if (!failed_ && scenario_.at_end_ != nullptr) as_thread_0(scenario_.at_end_);
  scheduling_ = false;
  // A failed execution is left where it stands; what its set-up made is cleared away unchecked.
  if (failed_) reset_fibers();
  lenient_ = failed_;
  if (scenario_.on_switch_ != nullptr) scenario_.on_switch_(0);
  auto* const ended = new scenario(std::move(scenario_));
  scenario_ = {};
  as_thread_0([&] { delete ended; });
  if (failed_ && !lenient_) reset_fibers();
  return !failed_;
}

void engine::reset_fibers() {
  for (unsigned i = 0; i != max_threads; ++i) fibers_[i]->reset();
}

bool engine::search(result& r, const std::function<void(scenario&)>& set_up) {
  // Few preemptions first: most faults need one or two, and their schedules read best.
  const unsigned depth = std::max(how_.preemptions, how_.stale_reads);
  for (unsigned bound = 0; bound <= depth; ++bound) {
    preemption_bound_ = std::min(bound, how_.preemptions);
    stale_bound_ = std::min(bound, how_.stale_reads);
    path_.clear();
    do {
      if (how_.executions != 0 && r.executions == how_.executions) return true;
      if (sanitized() && r.executions == sanitized_executions) return true;
      ++r.executions;
      if (!execute(set_up)) return false;
    } while (next_path());
  }
  r.complete = true;
  return true;
}

bool engine::search_randomly(result& r, const std::function<void(scenario&)>& set_up) {
  mode_ = mode::random;
  preemption_bound_ = stale_bound_ = no_bound;
  const std::uint64_t count =
      sanitized() ? std::min(how_.random_executions, sanitized_executions) : how_.random_executions;
  for (std::uint64_t i = 0; i != count; ++i) {
    path_.clear();
    random_state_ = (how_.seed + i) * 0xd1342543de82ef95U;
    ++r.executions;
    if (!execute(set_up)) return false;
  }
  return true;
}

// Runs the path once more, telling each step.
bool engine::replay(const std::function<void(scenario&)>& set_up) {
  mode_ = mode::replay;
  tracing_ = true;
  const std::string text = path_text();
  const bool ok = execute(set_up);
  report_ = name_ + ": " + (ok ? "passes" : failure_) + "\nreplay with WEFT_EXPLORE_REPLAY='" +
            name_ + "@" + text + "'\n";
  const std::size_t skipped = trace_.size() > steps_told ? trace_.size() - steps_told : 0;
  if (skipped != 0) report_ += "  ...\n";
  for (std::size_t i = skipped; i != trace_.size(); ++i) report_ += trace_[i];
  return ok;
}

result engine::explore(const std::function<void(scenario&)>& set_up) {
  result r;
  name_ = how_.name;
  if (how_.mutate) name_ += " [" + how_.mutate->name() + "]";
  const char* const variable = std::getenv("WEFT_EXPLORE_REPLAY");
  const std::string wanted = variable == nullptr ? "" : variable;
  if (wanted.starts_with(name_ + "@")) {
    parse_path(wanted.substr(name_.size() + 1));
    r.failed = !replay(set_up);
    std::fputs(report_.c_str(), stderr);
  } else if (!search(r, set_up) || !search_randomly(r, set_up)) {
    r.failed = !replay(set_up);
    if (!r.failed) report_ += "it failed before: the scenario is not deterministic\n";
    r.failed = true;
  }
  r.report = report_;
  for (const known_site& known : sites_) r.sites.push_back(known.at);
  return r;
}

result run(const options& how, const std::function<void(scenario&)>& set_up) {
  const leaks_permitted in_failed_executions;
  engine e(how);
  return e.explore(set_up);
}

void check(bool ok, const char* what, std::source_location where) {
  if (ok || engine::active().lenient()) return;
  engine::active().fail("check failed at line " + std::to_string(where.line()) + ": " + what);
}

void fail(const std::string& what) { engine::active().fail(what); }

bool clearing_away() { return engine::active().lenient(); }

void wait_until(const std::function<bool()>& ready) {
  engine& e = engine::active();
  if (e.lenient()) return;
  e.step();
  if (ready()) return;
  e.block([](const void* f) { return (*static_cast<const std::function<bool()>*>(f))(); }, &ready);
}

}  // namespace weft::explore
