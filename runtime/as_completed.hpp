// SPDX-License-Identifier: MIT
#pragma once
// as_completed: the values of several tasks, each as soon as it is there. Each task runs as a child
// of a scope that belongs to the generator's frame, as in merge.hpp, and says by a channel that it
// has ended; its outcome stays in its own frame until the generator's consumer asks for it.

#include "weft/runtime/async_generator.hpp"
#include "weft/runtime/channel.hpp"
#include "weft/runtime/child.hpp"
#include "weft/runtime/group_state.hpp"
#include "weft/runtime/to_task.hpp"
#include "weft/runtime/when_all.hpp"

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft {

namespace detail {

/// Runs a task to its end, whatever that is, and then sends its index.
class indexed_child final : public child_base {
public:
  indexed_child(promise_base& body, std::size_t index, channel_sender<std::size_t>& to) noexcept
      : child_base(kind), body_(&body), index_(index), to_(&to) {}

private:
  static promise_base* begin(child_base& c) noexcept {
    return static_cast<indexed_child&>(c).body_;
  }
  static const std::exception_ptr* end(child_base& c, bool) noexcept {
    const auto& self = static_cast<indexed_child&>(c);
    (void)self.to_->try_send(self.index_);  // there is room for all
    return nullptr;
  }
  static void destroy(child_base& c) noexcept { delete &static_cast<indexed_child&>(c); }

  static constexpr child_kind kind{&begin, &end, &destroy};

  promise_base* body_;
  std::size_t index_;
  channel_sender<std::size_t>* to_;
};

template <class T>
async_generator<value_or_monostate<T>> completed(std::vector<task<T>> tasks) {
  own_promise own;
  promise_base& self = co_await own;
  auto closing = this_generator::needs_close();
  co_await closing;
  auto state = std::make_shared<channel_state<std::size_t>>(tasks.size());
  // Without an opener: a generator that has yielded is not on the strand that it had then.
  group_state running(strand_of(self).home(), nullptr, task_group_options{});
  state->fed_by = &running;
  channel_sender<std::size_t> ended(state);
  const channel_receiver<std::size_t> receiver(std::move(state));
  std::exception_ptr failed;
  try {
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      auto* const c = new indexed_child(task_access::promise(tasks[i]), i, ended);
      c->start(running);
    }
    for (std::size_t left = tasks.size(); left != 0; --left) {
      channel_receive<std::size_t> receiving = receiver.receive();
      const std::optional<std::size_t> index = co_await receiving;
      task<T> first = std::move(tasks[*index]);
      value_or_monostate<T> value = take_value(task_access::finished(first));
      co_yield std::move(value);
    }
  } catch (...) {
    failed = std::current_exception();
    running.request_stop();
  }
  scope_join join(running);
  co_await join;
  if (failed != nullptr) std::rethrow_exception(failed);
}

}  // namespace detail

/// The values of all tasks, in the order in which they are there.
///
/// Shape:    tasks of one type of values.
/// Returns:  a generator of as many values, std::monostate for void. The tasks start with the first
///           next(). It has to be consumed to its end, by for_each, or closed; else destroying it
///           aborts with its name.
/// Errors:   what escapes a task comes out of the next() whose turn it is: then, as when a next()
///           is cancelled or the generator is closed, the others are cancelled and joined, and it
///           has ended. Let the tasks give result<T> where the others are to go on.
/// Thread:   the tasks run on a pool at the same time; they do not inherit the scope of whoever
///           awaits next().
/// Lifetime: owns the tasks; the frame of each goes when its value has been taken.
/// Cost:     one frame, and a record for each task; two allocations for the channel.
template <class T>
[[nodiscard]] async_generator<detail::value_or_monostate<T>>
as_completed(std::vector<task<T>> tasks) {
  static_assert(!std::is_reference_v<T>,
                "weft: a task's frame goes when its value was taken: let the tasks give pointers");
  return detail::completed<T>(std::move(tasks));
}

/// The same for a few tasks, operations or join_handles that give the same type:
/// `as_completed(ask(near), ask(far))`.
template <class First, class... More>
  requires(std::same_as<detail::value_of<First>, detail::value_of<More>> && ...)
[[nodiscard]] auto as_completed(First&& first, More&&... more) {
  std::vector<task<detail::value_of<First>>> tasks;
  tasks.reserve(1 + sizeof...(more));
  tasks.push_back(detail::to_task(std::forward<First>(first)));
  (tasks.push_back(detail::to_task(std::forward<More>(more))), ...);
  return as_completed(std::move(tasks));
}

}  // namespace weft
