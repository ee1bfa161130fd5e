// SPDX-License-Identifier: MIT
#pragma once
// The descriptors on which entries of an emulated queue wait, and the epoll instance that tells
// when they become ready. A descriptor is watched from the first time that something waits for it,
// for everything and edge-triggered, so that waiting again costs no system call: an edge that
// nobody waits for is remembered.
//
//   W1: `readable` is false only when, since the last call that found nothing more to read, every
//       byte that came is announced by an edge that is still to be collected. The same for
//       `writable` and room.
//
// A number that was closed is another file's next: what is remembered of it holds as long as its
// age (descriptor_age.hpp) is the same. That covers descriptors that are closed through the kernel,
// as those of sockets are. Of a number of somebody else's nothing is believed: each wait on it asks
// epoll anew.

#include "weft/io/kernel/descriptor_age.hpp"
#include "weft/io/kernel/pending_entries.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <sys/epoll.h>

namespace weft::detail {

/// What is known of a descriptor's number.
struct watched {
  pending_list waiting;
  int fd = -1;
  std::uint32_t age = 0;
  bool registered = false;  // with epoll, when it had that age
  bool ours = false;        // it is closed through the kernel
  bool tcp = false;         // a short read says that there is no more
  bool readable = false;    // W1
  bool writable = false;    // W1
  bool over = false;  // the peer has ended, there is an error, or urgent data: one edge for all
  unsigned char unwanted = 0;  // edges in a row that nobody waited for
};

/// Thread: the queue's owner, where nothing else is said.
class watched_descriptors {
public:
  /// Errors: system_error that names the call and the errno.
  watched_descriptors();
  watched_descriptors(const watched_descriptors&) = delete;
  watched_descriptors& operator=(const watched_descriptors&) = delete;
  ~watched_descriptors();

  /// Makes known() give something for a number. 0; -EBADF when it is nobody's; -ENOMEM.
  [[nodiscard]] int know(int fd) noexcept;
  /// What is remembered of a number, or null.
  watched* known(int fd) const noexcept {
    const std::size_t chunk = static_cast<unsigned>(fd) / chunk_size;
    if (chunk >= chunks_.size() || chunks_[chunk] == nullptr) return nullptr;
    return &chunks_[chunk][static_cast<unsigned>(fd) % chunk_size];
  }

  /// Whether `readable` and `writable` may be believed, so that a wait needs no call.
  static bool is_trusted(const watched& w) noexcept {
    return w.ours && w.registered && w.age == age_of_descriptor(w.fd);
  }

  /// Sees to it that edges are told from now on; one comes at once for what is ready already.
  /// What waited for an older file of the same number goes to `orphans`. With `ours` the number is
  /// one that is closed through the kernel.
  ///
  /// Returns: 0, or -errno: EPERM for a file that is never waited for.
  int watch(watched& w, bool ours, pending_list& orphans) noexcept;
  /// Nobody waits for an edge that came. After some in a row it is watched no more: the socket may
  /// be served by another worker now.
  void note_unwanted(watched& w) noexcept;

  /// Makes wait() return, now or the next time. Thread: any.
  void ring_doorbell() noexcept;

  /// Waits for edges until `timeout_ns` have passed (negative: for ever).
  ///
  /// Returns: how many there are in `out`; 0 when the time is over; -EINTR.
  int wait(std::span<epoll_event> out, std::int64_t timeout_ns) noexcept;

  static bool is_doorbell(const epoll_event& edge) noexcept {
    return edge.data.u64 == doorbell_token;
  }
  /// Remembers what an edge says. Whose it is; null when that was closed, and is still somebody's.
  watched* note(const epoll_event& edge) noexcept;

private:
  static constexpr std::size_t chunk_size = 256;
  static constexpr std::uint64_t doorbell_token = UINT64_MAX;  // no descriptor's number

  int epoll_ = -1;
  int doorbell_ = -1;
  bool has_nanoseconds_ = true;                     // epoll_pwait2 (Linux 5.11)
  std::vector<std::unique_ptr<watched[]>> chunks_;  // by number; their addresses stay
};

}  // namespace weft::detail
