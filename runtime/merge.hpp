// SPDX-License-Identifier: MIT
#pragma once
// merge: several generators at the same time, as one. Each source has a task that asks it for
// values and hands them over by a channel without slots, so that none is ahead by more than one.
// These tasks go on between two next(), when no coroutine awaits the merged generator: they belong
// to its frame, in a scope of their own, and it has to be closed.

#include "weft/runtime/async_generator.hpp"
#include "weft/runtime/channel.hpp"
#include "weft/runtime/child.hpp"
#include "weft/runtime/group_state.hpp"
#include "weft/runtime/pipeline.hpp"

#include <concepts>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft {

namespace detail {

template <class T>
task<> send_all(async_generator<T>* source, channel_sender<T> to) {
  for (;;) {
    generator_next<T> next = source->next();
    std::optional<T> item = co_await next;
    if (!item) break;
    channel_send<T, T&> sending = to.send(*std::move(item));
    co_await sending;
  }
}

template <class T>
void start_producers(group_state& group, std::vector<async_generator<T>>& sources,
                     channel_sender<T> to) {
  for (async_generator<T>& source : sources) make_child(&send_all<T>, &source, to).start(group);
}

template <class T>
async_generator<T> merged(std::vector<async_generator<T>> sources) {
  own_promise own;
  promise_base& self = co_await own;
  auto closing = this_generator::needs_close();
  co_await closing;
  // Without an opener: a generator that has yielded is not on the strand that it had then.
  group_state producers(strand_of(self).home(), nullptr, task_group_options{});
  std::exception_ptr failed;
  try {
    enter_stage entered;
    co_await entered;
    auto state = std::make_shared<channel_state<T>>(0);
    state->fed_by = &producers;
    const channel_receiver<T> receiver(state);
    start_producers(producers, sources, channel_sender<T>(std::move(state)));
    for (;;) {
      channel_receive<T> receiving = receiver.receive();
      std::optional<T> item = co_await receiving;
      if (!item) break;
      co_yield *std::move(item);
    }
  } catch (...) {
    failed = std::current_exception();
    producers.request_stop();
  }
  scope_join join(producers);
  co_await join;
  if (producers.first_failure() != nullptr) failed = producers.first_failure();
  for (async_generator<T>& source : sources) {
    try {
      generator_close step = source.close();
      co_await step;
    } catch (...) {
      if (failed == nullptr) failed = std::current_exception();
    }
  }
  if (failed != nullptr) std::rethrow_exception(failed);
}

}  // namespace detail

/// The values of several generators in the order in which they are there.
///
/// Shape:    sources of one type of values, whose move does not throw.
/// Returns:  a generator that ends when all sources have. It has to be consumed to its end, by
///           for_each, or closed; else destroying it aborts with its name.
/// Errors:   what escapes a source cancels and closes the others and comes out of next(), at the
///           latest out of close(). A cancel of a next() ends them all.
/// Thread:   the sources run as tasks of their own, on a pool at the same time; they do not inherit
///           the scope of whoever awaits next().
/// Lifetime: owns the sources; closing it closes them.
/// Cost:     one frame, and a record and a frame for each source; two allocations for the channel
///           and the list.
template <class T>
[[nodiscard]] async_generator<T> merge(std::vector<async_generator<T>> sources) {
  static_assert(!std::is_reference_v<T>,
                "weft: merge hands values over while their generators go on: yield values");
  return detail::generator_access::closing_source(detail::merged<T>(std::move(sources)));
}

/// The same for a few: `merge(left, right)` of temporaries or moved ones.
template <class T, std::same_as<async_generator<T>>... More>
[[nodiscard]] async_generator<T> merge(async_generator<T> first, More... more) {
  std::vector<async_generator<T>> sources;
  sources.reserve(1 + sizeof...(more));
  sources.push_back(std::move(first));
  (sources.push_back(std::move(more)), ...);
  return merge(std::move(sources));
}

}  // namespace weft
