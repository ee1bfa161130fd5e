// SPDX-License-Identifier: MIT
#pragma once
// Buffers that were provided for receives to choose from (IOSQE_BUFFER_SELECT), in groups: each is
// given to one completion, and is the receiver's until he provides it again.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

struct io_uring_sqe;

namespace weft::detail {

/// Thread: the queue's owner.
class provided_buffers {
public:
  struct buffer {
    std::uint64_t address;
    std::uint32_t size;
    std::uint16_t id;
  };

  /// IORING_OP_PROVIDE_BUFFERS, IORING_OP_REMOVE_BUFFERS; what they complete with.
  int provide(const io_uring_sqe& entry) noexcept;
  int remove(const io_uring_sqe& entry) noexcept;

  /// The buffer whose turn it is, null when the group is empty or there is none.
  const buffer* next_of(std::uint16_t group) const noexcept;
  /// It was given away.
  void take_next_of(std::uint16_t group) noexcept;

private:
  struct group {
    std::uint16_t number;
    std::deque<buffer> buffers;  // first provided, first used
  };

  group* find(std::uint16_t number) noexcept;

  std::vector<group> groups_;  // few
};

}  // namespace weft::detail
