// SPDX-License-Identifier: MIT
#pragma once
// A few values in place: as many as come, up to a bound that is known. For tasks whose number is
// not known before, and who shall cost no allocation: when_all takes a small_range of tasks, and
// gives one of values.

#include <cstddef>
#include <memory>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace weft {

/// Up to `Capacity` values of type T, one behind the other, within the object itself.
///
/// Shape:    T can be moved, where the range is.
/// Errors:   length_error from push_back and emplace_back when it is full; nothing changes.
/// Lifetime: pointers to its values last as long as the range stays where it is.
/// Cost:     no allocation; a move moves each value. sizeof is that of `Capacity` values.
template <class T, std::size_t Capacity>
class small_range {
public:
  using value_type = T;

  small_range() noexcept {}
  small_range(small_range&& other) noexcept(std::is_nothrow_move_constructible_v<T>) {
    for (T& each : other) emplace_back(std::move(each));
  }
  small_range& operator=(small_range&& other) noexcept(std::is_nothrow_move_constructible_v<T>) {
    if (this == &other) return *this;
    clear();
    for (T& each : other) emplace_back(std::move(each));
    return *this;
  }
  ~small_range() { clear(); }

  template <class... Args>
  T& emplace_back(Args&&... args) {
    if (size_ == Capacity) [[unlikely]]
      throw std::length_error("weft::small_range: there is no room for another value: give it a "
                              "greater Capacity, or take a std::vector");
    T* const made = ::new (static_cast<void*>(data() + size_)) T(std::forward<Args>(args)...);
    ++size_;
    return *made;
  }
  void push_back(T&& value) { emplace_back(std::move(value)); }
  void push_back(const T& value)
    requires std::is_copy_constructible_v<T>
  {
    emplace_back(value);
  }
  void clear() noexcept {
    while (size_ != 0) std::destroy_at(data() + --size_);
  }

  static constexpr std::size_t capacity() noexcept { return Capacity; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  T* data() noexcept { return values_; }
  const T* data() const noexcept { return values_; }
  T* begin() noexcept { return data(); }
  T* end() noexcept { return data() + size_; }
  const T* begin() const noexcept { return data(); }
  const T* end() const noexcept { return data() + size_; }
  T& operator[](std::size_t i) noexcept { return data()[i]; }
  const T& operator[](std::size_t i) const noexcept { return data()[i]; }

private:
  std::size_t size_ = 0;
  union {
    T values_[Capacity];
  };
};

}  // namespace weft
