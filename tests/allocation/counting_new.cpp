// SPDX-License-Identifier: MIT
#include "allocation/counting_new.hpp"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <new>

#include <dlfcn.h>
#include <unwind.h>

namespace {

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t always = std::numeric_limits<std::int64_t>::min();

struct counter {
  std::atomic<std::uint64_t>& every_thread;
  std::uint64_t& this_thread;

  void count() const noexcept {
    every_thread.fetch_add(1);
    ++this_thread;
  }
  std::uint64_t read(weft::tests::whose calls) const noexcept {
    return calls == weft::tests::whose::this_thread ? this_thread : every_thread.load();
  }
};

constinit std::atomic<std::uint64_t> allocated_by_all{0}, thrown_by_all{0};
constinit thread_local std::uint64_t allocated_here = 0, thrown_here = 0;

// Not inlined: a task that asks may go on on another thread.
[[gnu::noinline]] counter allocated() noexcept { return {allocated_by_all, allocated_here}; }
[[gnu::noinline]] counter thrown() noexcept { return {thrown_by_all, thrown_here}; }

constinit std::atomic<std::int64_t> until_failure{never};
constinit std::atomic<bool> one_thread_only{false};
constinit thread_local bool that_thread = false;

bool fails_now() noexcept {
  if (one_thread_only && !that_thread) return false;
  const std::int64_t left = until_failure.load();
  if (left == never || left == always) return left == always;
  return until_failure.fetch_sub(1) == 1;
}

void* allocate(std::size_t bytes, std::size_t alignment) {
  allocated().count();
  if (fails_now()) throw std::bad_alloc();
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* const memory = alignment <= alignof(std::max_align_t)
                           ? std::malloc(bytes != 0 ? bytes : 1)
                           : std::aligned_alloc(alignment, rounded);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// The other forms of the standard library call these.
void* operator new(std::size_t bytes) { return allocate(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

// Every throw and every std::rethrow_exception comes by here.
extern "C" _Unwind_Reason_Code _Unwind_RaiseException(_Unwind_Exception* exception) {
  using raise = _Unwind_Reason_Code (*)(_Unwind_Exception*);
  static const raise next = reinterpret_cast<raise>(dlsym(RTLD_NEXT, "_Unwind_RaiseException"));
  thrown().count();
  return next(exception);
}

namespace weft::tests {

std::uint64_t allocations(whose calls) noexcept { return allocated().read(calls); }

std::uint64_t throws(whose calls) noexcept { return thrown().read(calls); }

bool throws_are_counted() noexcept {
  const std::uint64_t before = throws(whose::this_thread);
  try {
    throw 1;
  } catch (int) {
    return throws(whose::this_thread) == before + 1;
  }
}

failing_new::failing_new(std::int64_t nth, whose calls) noexcept {
  one_thread_only = that_thread = calls == whose::this_thread;
  until_failure = nth;
}
failing_new::~failing_new() {
  until_failure = never;
  if (one_thread_only.exchange(false)) that_thread = false;
}
bool failing_new::failed() const noexcept { return until_failure.load() <= 0; }

no_memory::no_memory() noexcept { until_failure = always; }
no_memory::~no_memory() { until_failure = never; }

}  // namespace weft::tests
