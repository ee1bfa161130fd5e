// SPDX-License-Identifier: MIT
#pragma once

// What a scenario of the explorer is made of: the atomics policy that the code under test is
// instantiated with, plain variables that report a race, a mutex, and a doorbell to sleep by.

#include "engine.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <source_location>
#include <string>
#include <type_traits>
#include <vector>

namespace weft::explore {

inline bool acquires(std::memory_order o) {
  return o == std::memory_order_acquire || o == std::memory_order_acq_rel ||
         o == std::memory_order_seq_cst || o == std::memory_order_consume;
}
inline bool releases(std::memory_order o) {
  return o == std::memory_order_release || o == std::memory_order_acq_rel ||
         o == std::memory_order_seq_cst;
}

/// std::atomic's interface with the history of its values: a load may see any of them that
/// coherence, happens-before and the order of seq_cst accesses permit.
template <class U>
class atomic {
  using here = std::source_location;

public:
  using value_type = U;

  atomic() noexcept : atomic(U{}) {}
  explicit(false) atomic(U value) noexcept {
    engine& e = engine::active();
    history_.reserve(6);
    history_.push_back({value, {}, {}});
    if (e.lenient()) return;
    history_.back().seen[e.self()] = e.tick();
    made_by_ = e.self();
    made_at_ = e.now().at[made_by_];
  }
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;
  ~atomic() {
    *const_cast<volatile bool*>(&ended_) =
        true;  // volatile: for who comes later, against the rules
    engine& e = engine::active();
    if (e.lenient()) return;
    for (unsigned t = 0; t != max_threads; ++t) {
      if (!e.knows(t, touched_[t])) {
        e.fail("data race: an atomic ends while thread " + std::to_string(t) + " may use it");
      }
    }
  }

  U load(std::memory_order order, here where = here::current()) const noexcept {
    engine& e = engine::active();
    if (e.lenient()) return history_.back().value;
    order = begin(e, access::load, order, where);
    const std::size_t newest = history_.size() - 1;
    const unsigned age = e.choose_age(static_cast<unsigned>(newest - oldest(e, order)) + 1);
    see(e, newest - age, order);
    const U value = history_[newest - age].value;
    e.looked_at(changes_, changes_ - age);
    e.trace("load", bits(value), order, age, where);
    return value;
  }

  void store(U value, std::memory_order order, here where = here::current()) noexcept {
    engine& e = engine::active();
    if (e.lenient()) return history_.push_back({value, {}, {}});
    order = begin(e, access::store, order, where);
    append(e, value, order, clock{});
    e.trace("store", bits(value), order, 0, where);
  }

  U exchange(U value, std::memory_order order, here where = here::current()) noexcept {
    return update([&](U) { return value; }, order, where);
  }
  U fetch_add(U by, std::memory_order order, here where = here::current()) noexcept {
    return update([&](U old) { return static_cast<U>(old + by); }, order, where);
  }
  U fetch_sub(U by, std::memory_order order, here where = here::current()) noexcept {
    return update([&](U old) { return static_cast<U>(old - by); }, order, where);
  }
  U fetch_or(U by, std::memory_order order, here where = here::current()) noexcept {
    return update([&](U old) { return static_cast<U>(old | by); }, order, where);
  }
  U fetch_and(U by, std::memory_order order, here where = here::current()) noexcept {
    return update([&](U old) { return static_cast<U>(old & by); }, order, where);
  }

  bool compare_exchange_strong(U& expected, U desired, std::memory_order success,
                               std::memory_order failure, here where = here::current()) noexcept {
    engine& e = engine::active();
    if (e.lenient()) {
      if (history_.back().value == expected) return store(desired, success), true;
      return expected = history_.back().value, false;
    }
    success = begin(e, access::rmw, success, where);
    // It fails as a load does, seeing any permitted value but the expected one; it succeeds on
    // the newest only.
    const std::size_t newest = history_.size() - 1;
    const std::size_t end = oldest(e, failure);
    std::vector<std::size_t> choices{newest};
    for (std::size_t i = newest; i-- > end;) {
      if (history_[i].value != expected) choices.push_back(i);
    }
    const std::size_t seen = choices[e.choose_age(static_cast<unsigned>(choices.size()))];
    if (history_[seen].value == expected) {
      replace(e, desired, success);
      e.trace("swap", bits(desired), success, 0, where);
      return true;
    }
    see(e, seen, failure);
    expected = history_[seen].value;
    e.trace("swap fails, sees", bits(expected), failure, static_cast<unsigned>(newest - seen),
            where);
    return false;
  }
  bool compare_exchange_weak(U& expected, U desired, std::memory_order success,
                             std::memory_order failure, here where = here::current()) noexcept {
    return compare_exchange_strong(expected, desired, success, failure, where);
  }

private:
  struct entry {
    U value;
    clock released;                                 // what an acquiring reader comes to know
    std::array<std::uint32_t, max_threads> seen{};  // when each thread first read or wrote it
  };

  static std::uint64_t bits(U value) noexcept {
    if constexpr (std::is_pointer_v<U>) {
      return reinterpret_cast<std::uintptr_t>(value);
    } else {
      return static_cast<std::uint64_t>(value);
    }
  }

  std::memory_order begin(engine& e, access what, std::memory_order order,
                          const here& where) const {
    order = e.step(what, order, where);
    if (*const_cast<const volatile bool*>(&ended_)) {
      e.fail("an atomic is used after its end at line " + std::to_string(where.line()) + " of " +
             where.file_name());
    }
    if (!e.knows(made_by_, made_at_)) {
      e.fail("data race: an atomic is used by a thread that cannot know that it exists");
    }
    touched_[e.self()] = e.tick();
    return order;
  }

  // The oldest value that the current thread may still see: what it knows to have been read or
  // written later hides what came before.
  std::size_t oldest(engine& e, std::memory_order order) const {
    std::size_t i = history_.size() - 1;
    const std::size_t floor = order == std::memory_order_seq_cst ? seq_cst_floor_ : 0;
    for (; i > floor; --i) {
      for (unsigned t = 0; t != max_threads; ++t) {
        const std::uint32_t when = history_[i].seen[t];
        if (when != 0 && e.cannot_miss(t, when)) return i;
      }
    }
    return i;
  }

  void see(engine& e, std::size_t i, std::memory_order order) const {
    entry& seen = history_[i];
    if (seen.seen[e.self()] == 0) seen.seen[e.self()] = e.now().at[e.self()];
    if (acquires(order)) e.now().join(seen.released);
    if (order == std::memory_order_seq_cst && seq_cst_floor_ < i) seq_cst_floor_ = i;
  }

  void append(engine& e, U value, std::memory_order order, clock released) {
    if (releases(order)) released.join(e.now());
    history_.push_back({value, released, {}});
    ++changes_;
    history_.back().seen[e.self()] = e.now().at[e.self()];
    if (order == std::memory_order_seq_cst) seq_cst_floor_ = history_.size() - 1;
  }

  // A read-modify-write sees the newest value and carries on what was released with it.
  void replace(engine& e, U value, std::memory_order order) {
    const std::size_t newest = history_.size() - 1;
    see(e, newest, order);
    append(e, value, order, history_[newest].released);
  }

  template <class F>
  U update(F change, std::memory_order order, const here& where) {
    engine& e = engine::active();
    if (e.lenient()) {
      const U old = history_.back().value;
      return history_.push_back({change(old), {}, {}}), old;
    }
    order = begin(e, access::rmw, order, where);
    const U found = history_.back().value;
    replace(e, change(found), order);
    e.trace("update", bits(history_.back().value), order, 0, where);
    return found;
  }

  mutable std::vector<entry> history_;     // in modification order; read entries are marked
  mutable std::size_t seq_cst_floor_ = 0;  // the newest entry that a seq_cst access has touched
  std::uint32_t changes_ = 0;
  mutable std::array<std::uint32_t, max_threads> touched_{};
  unsigned made_by_ = 0;
  std::uint32_t made_at_ = 0;
  bool ended_ = false;
};

/// The policy that takes std_atomics' place.
struct atomics {
  template <class U>
  using atomic = explore::atomic<U>;
  /// Accesses are never reordered within a thread.
  static void light_fence() noexcept {}
};

inline void heavy_fence() { engine::active().heavy_fence(); }

/// A variable without synchronisation of its own: two accesses, one of them a write, that are not
/// ordered by happens-before are a race, whether or not they met in this execution.
template <class T>
class plain {
  using here = std::source_location;

public:
  plain() : plain(T{}) {}
  explicit plain(T value) : value_(value) {
    engine& e = engine::active();
    if (!e.lenient()) writer_ = e.self(), written_ = e.tick();
  }
  plain(const plain&) = delete;
  plain& operator=(const plain&) = delete;

  T read(here where = here::current()) const {
    engine& e = engine::active();
    if (e.lenient()) return value_;
    if (!e.knows(writer_, written_)) race(e, "read", where);
    read_[e.self()] = e.tick();
    return value_;
  }
  void write(T value, here where = here::current()) {
    engine& e = engine::active();
    value_ = value;
    if (e.lenient()) return;
    if (!e.knows(writer_, written_)) race(e, "written", where);
    for (unsigned t = 0; t != max_threads; ++t) {
      if (!e.knows(t, read_[t])) race(e, "written while another thread reads it", where);
    }
    writer_ = e.self();
    written_ = e.tick();
  }

private:
  static void race(engine& e, const char* how, const here& where) {
    e.fail("data race: a plain variable is " + std::string(how) + " at line " +
           std::to_string(where.line()) + " of " + where.file_name());
  }

  T value_;
  unsigned writer_ = 0;
  std::uint32_t written_ = 0;
  mutable std::array<std::uint32_t, max_threads> read_{};
};

/// std::mutex's interface.
class mutex {
public:
  void lock() {
    engine& e = engine::active();
    if (e.lenient()) return;
    e.step();
    if (locked_) {
      e.block([](const void* m) { return !static_cast<const mutex*>(m)->locked_; }, this);
    }
    locked_ = true;
    e.now().join(released_);
  }
  void unlock() {
    engine& e = engine::active();
    if (e.lenient()) return;
    e.tick();
    released_.join(e.now());
    locked_ = false;
  }

private:
  bool locked_ = false;
  clock released_;
};

/// What a worker sleeps by: a ring before the sleep ends it at once. It orders no memory, so the
/// code under test has to.
class doorbell {
public:
  void ring() {
    engine& e = engine::active();
    if (!e.lenient()) e.step();
    rung_ = true;
  }
  void wait() {
    engine& e = engine::active();
    if (e.lenient()) return;
    e.step();
    if (!rung_) {
      e.block([](const void* d) { return static_cast<const doorbell*>(d)->rung_; }, this);
    }
    rung_ = false;
  }

private:
  bool rung_ = false;
};

}  // namespace weft::explore
