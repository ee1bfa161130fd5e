// SPDX-License-Identifier: MIT
#include "fiber.hpp"

#include <cstring>

#include <cxxabi.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_EXPLORE_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define WEFT_EXPLORE_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WEFT_EXPLORE_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define WEFT_EXPLORE_TSAN 1
#endif
#if defined(WEFT_EXPLORE_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#if defined(WEFT_EXPLORE_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

namespace weft::explore {

namespace {
constexpr std::size_t stack_size = 256 * 1024;

// What the C++ ABI has for each thread (__cxa_eh_globals): a pointer and a counter.
using thread_exceptions = std::array<void*, 2>;

void* exceptions_of_thread() { return static_cast<void*>(abi::__cxa_get_globals()); }
}  // namespace

bool sanitized() {
#if defined(WEFT_EXPLORE_ASAN) || defined(WEFT_EXPLORE_TSAN)
  return true;
#else
  return false;
#endif
}

leaks_permitted::leaks_permitted() {
#if defined(WEFT_EXPLORE_ASAN)
  __lsan_disable();
#endif
}

leaks_permitted::~leaks_permitted() {
#if defined(WEFT_EXPLORE_ASAN)
  __lsan_enable();
#endif
}

fiber::fiber() {
#if defined(WEFT_EXPLORE_TSAN)
  tsan_ = __tsan_get_current_fiber();
#endif
}

fiber::fiber(void (*entry)())
    : entry_(entry), stack_(std::make_unique<char[]>(stack_size)), bottom_(stack_.get()),
      size_(stack_size) {
  reset();
}

fiber::~fiber() {
#if defined(WEFT_EXPLORE_TSAN)
  if (entry_ != nullptr) __tsan_destroy_fiber(tsan_);
#endif
}

void fiber::reset() {
#if defined(WEFT_EXPLORE_ASAN)
  __asan_unpoison_memory_region(stack_.get(), stack_size);
  fake_stack_ = nullptr;
#endif
#if defined(WEFT_EXPLORE_TSAN)
  if (tsan_ != nullptr) __tsan_destroy_fiber(tsan_);
  tsan_ = __tsan_create_fiber(0);
#endif
  exceptions_ = {};
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack_.get();
  context_.uc_stack.ss_size = stack_size;
  context_.uc_link = nullptr;
  makecontext(&context_, entry_, 0);
}

void fiber::switch_to(fiber& to) {
#if defined(WEFT_EXPLORE_ASAN)
  __sanitizer_start_switch_fiber(&fake_stack_, to.bottom_, to.size_);
#endif
#if defined(WEFT_EXPLORE_TSAN)
  __tsan_switch_to_fiber(to.tsan_, 0);
#endif
  std::memcpy(exceptions_.data(), exceptions_of_thread(), sizeof(thread_exceptions));
  std::memcpy(exceptions_of_thread(), to.exceptions_.data(), sizeof(thread_exceptions));
  swapcontext(&context_, &to.context_);
#if defined(WEFT_EXPLORE_ASAN)
  __sanitizer_finish_switch_fiber(fake_stack_, nullptr, nullptr);
#endif
}

void fiber::entered([[maybe_unused]] fiber& root) {
#if defined(WEFT_EXPLORE_ASAN)
  const void* bottom = nullptr;
  std::size_t size = 0;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
  if (root.bottom_ == nullptr) {
    root.bottom_ = bottom;
    root.size_ = size;
  }
#endif
}

}  // namespace weft::explore
