// SPDX-License-Identifier: MIT
#pragma once
// parallel_transform as a parallel_for over positions: its body reads at one, and writes there.

#include "weft/runtime/task.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/sched/detail/parallel_for_job.hpp"
#include "weft/sched/detail/parallel_source.hpp"
#include "weft/sched/parallel_options.hpp"

#include <cstddef>
#include <iterator>
#include <type_traits>
#include <utility>

namespace weft::detail {

/// The element of a random access iterator at a position.
template <class It>
decltype(auto) element(const It& first, std::size_t k) {
  return first[static_cast<std::iter_difference_t<It>>(k)];
}

/// Awaits a value and writes it where it belongs.
template <class T, class Out>
task<> write_awaited(task<T> made, Out out, std::size_t k) {
  T value = co_await std::move(made);
  element(out, k) = static_cast<T&&>(value);
}

/// Writes f(in[k]...) to out[k].
template <class F, class Out, class Read>
struct transform_body {
  F function;
  Out out;
  Read read;  // calls a function with the elements at a position

  auto operator()(std::size_t k) const {
    if constexpr (is_task<std::remove_cvref_t<decltype(read(k, function))>>)
      return write_awaited(read(k, function), out, k);
    else
      element(out, k) = read(k, function);
  }
};

template <class In>
struct read_one {
  In in;
  template <class F>
  decltype(auto) operator()(std::size_t k, const F& f) const {
    return f(element(in, k));
  }
  template <std::size_t Length>
  void fetch_ahead(std::size_t k) const noexcept {
    detail::fetch_ahead<Length>(in + static_cast<std::iter_difference_t<In>>(k));
  }
};
template <class In, class Second>
struct read_two {
  In in;
  Second second;
  template <class F>
  decltype(auto) operator()(std::size_t k, const F& f) const {
    return f(element(in, k), element(second, k));
  }
  template <std::size_t Length>
  void fetch_ahead(std::size_t k) const noexcept {
    detail::fetch_ahead<Length>(in + static_cast<std::iter_difference_t<In>>(k));
    detail::fetch_ahead<Length>(second + static_cast<std::iter_difference_t<Second>>(k));
  }
};

/// The positions, of which it is known what is read and written there.
template <class Out, class Read>
struct transform_source : index_source<std::size_t> {
  Out out;
  Read read;

  template <std::size_t Length>
  void fetch_ahead(std::size_t k) const noexcept {
    read.template fetch_ahead<Length>(k);
    detail::fetch_ahead<Length, true>(out + static_cast<std::iter_difference_t<Out>>(k));
  }
};

template <class F, class Out, class Read>
auto make_transform_of(std::size_t count, F&& f, Out out, Read read,
                       const parallel_options& options) {
  static_assert(safe_as_temporary<F>,
                "weft: name the lambda first (auto f = [...]; co_await parallel_transform(..., "
                "f)): g++ 12 destroys the captures of a temporary lambda twice in a co_await");
  static_assert(
      requires(const std::decay_t<F>& g) { read(0, g); },
      "weft: the function of a parallel_transform is called by several threads at a "
      "time, as a const object (no mutable lambda), with one element of each range");
  using body = transform_body<std::decay_t<F>, Out, Read>;
  using source = transform_source<Out, Read>;
  using job = for_job<source, body>;
  return parallel_operation<job>(
      job(source{{0, count}, out, read}, body{std::forward<F>(f), out, read}, options));
}

template <class It, class Out, class F>
auto make_transform(const iterator_source<It>& in, Out out, F&& f,
                    const parallel_options& options) {
  return make_transform_of(in.count, std::forward<F>(f), out, read_one<It>{in.first}, options);
}
template <class It, class Second, class Out, class F>
auto make_transform(const iterator_source<It>& in, Second second, Out out, F&& f,
                    const parallel_options& options) {
  return make_transform_of(in.count, std::forward<F>(f), out,
                           read_two<It, Second>{in.first, second}, options);
}

}  // namespace weft::detail
