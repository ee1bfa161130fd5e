// SPDX-License-Identifier: MIT
#pragma once
// A scope that the strand which opened it ends by waiting for everything inside: children, timers
// that fire, walks in progress. What a combinator does at the end of its coroutine.

#include "weft/runtime/operation.hpp"
#include "weft/runtime/scope.hpp"

namespace weft::detail {

class joinable_scope : public cancel_scope {
public:
  explicit joinable_scope(scheduler& home) noexcept;

protected:
  using cancel_scope::cancel_scope;

private:
  friend struct scope_join;

  plain<waiter*> joiner_ = nullptr;  // written before the opener's hold is released
};

/// Waits until a scope is empty. A stop does not refuse it: it stops what is inside.
struct scope_join : waiter, operation_tag {
  using keeps_line_tag = void;  // its children walk to it meanwhile
  static constexpr const char* name = "the end of what was started in it";

  explicit scope_join(joinable_scope& s) noexcept : waiter(kind_of<scope_join>), scope(&s) {}
  scope_join(const scope_join&) = delete;
  scope_join& operator=(const scope_join&) = delete;

  bool await_ready() noexcept {
    worker& w = *current_worker();
    w.holds.give_back();
    closed = scope->try_close();
    return closed && w.spend();
  }
  void await_suspend(std::coroutine_handle<>) noexcept {
    if (closed) {  // the budget is gone
      current_worker()->give_way(*this);
      return;
    }
    joinable_scope& joined = *scope;
    strand& s = strand_of(*promise);
    joined.joiner_ = this;
    s.begin_join(*this);
    s.commit_wait();
    joined.release();
  }
  void await_resume() const noexcept {}
  static bool withdraw(operation&, worker&) noexcept { return false; }

  static void wake(cancel_scope& s) noexcept {
    static_cast<joinable_scope&>(s).joiner_->complete();
  }

  joinable_scope* scope;
  bool closed = false;  // it was empty already
};

inline joinable_scope::joinable_scope(scheduler& home) noexcept
    : cancel_scope(home, &scope_join::wake) {}

}  // namespace weft::detail
