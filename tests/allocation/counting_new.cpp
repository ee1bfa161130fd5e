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

constexpr std::size_t usual = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

void* try_allocate(std::size_t bytes, std::size_t alignment) noexcept {
  allocated().count();
  if (fails_now()) return nullptr;
  if (alignment <= usual) return std::malloc(bytes != 0 ? bytes : 1);
  return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

void* allocate(std::size_t bytes, std::size_t alignment) {
  void* const memory = try_allocate(bytes, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

std::size_t number(std::align_val_t alignment) noexcept {
  return static_cast<std::size_t>(alignment);
}

}  // namespace

// All forms: a sanitizer's own would take the place of those that are left out, and complain that
// what they allocate is freed by these.
using nothrow = const std::nothrow_t&;
using align = std::align_val_t;
void* operator new(std::size_t n) { return allocate(n, usual); }
void* operator new[](std::size_t n) { return allocate(n, usual); }
void* operator new(std::size_t n, align a) { return allocate(n, number(a)); }
void* operator new[](std::size_t n, align a) { return allocate(n, number(a)); }
void* operator new(std::size_t n, nothrow) noexcept { return try_allocate(n, usual); }
void* operator new[](std::size_t n, nothrow) noexcept { return try_allocate(n, usual); }
void* operator new(std::size_t n, align a, nothrow) noexcept { return try_allocate(n, number(a)); }
void* operator new[](std::size_t n, align a, nothrow) noexcept {
  return try_allocate(n, number(a));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, align) noexcept { std::free(memory); }
void operator delete[](void* memory, align) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, align) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, align) noexcept { std::free(memory); }
void operator delete(void* memory, nothrow) noexcept { std::free(memory); }
void operator delete[](void* memory, nothrow) noexcept { std::free(memory); }
void operator delete(void* memory, align, nothrow) noexcept { std::free(memory); }
void operator delete[](void* memory, align, nothrow) noexcept { std::free(memory); }

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
