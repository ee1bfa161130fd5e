// SPDX-License-Identifier: MIT
#pragma once
// A small world of sockets, pipes, files and timeouts, in which a random program runs on one kernel
// and leaves a history: of each operation what came of it, and at which step. Two kernels that run
// the same program must leave the same history. So that they can, nothing that is a race is in it:
//   - at most one operation receives, and one sends, on a socket or pipe: who of two gets the bytes
//     is nobody's promise. Nor is it whether a poll beside a receive still sees the bytes;
//   - what a helper thread may run (files, paths, connect, shutdown, close) is awaited in its step,
//     so that a cancel meets what waits (0) or what is over (-ENOENT), and nothing that runs;
//   - nothing is cancelled twice: whether the second one of a batch still finds it is not promised;
//   - what a peer does has arrived before the queue is entered again;
//   - a socket is closed when nothing waits on it;
//   - how much of a big send fits, and which buffer of a group is chosen, is not compared; that no
//     byte is lost is;
//   - no send waits on a socket whose peer has ended its side: io_uring tries it again and again,
//     and a cancel that comes in between finds nothing (-ENOENT) and ends nothing;
//   - receives from a group of buffers are ended when the last one is taken: whether that shows at
//     once, with the next bytes or when something else stirs is not promised;
//   - what operations were started on is closed through the kernel, or after the queue;
//   - a poll that goes on may tell of an event twice: repetitions are compared as one.
// A program runs the second time with the first history for a guide: what came in a step then is
// waited for in it, so that a slower kernel is no difference and a lost completion is one.

#include "support/descriptors.hpp"
#include "support/kernel_program.hpp"
#include "support/raw_queue.hpp"
#include "support/temporary_directory.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/stat.h>

namespace weft::tests {

struct history_event {
  int step = 0;
  std::string text{};
  friend bool operator==(const history_event&, const history_event&) = default;
};

struct history {
  std::map<int, std::vector<history_event>> operations{};  // by the number of their step
  std::vector<std::string> end{};                          // what is left of the world

  std::string text(const program& p) const;
  friend bool operator==(const history&, const history&) = default;
};

class kernel_world {
public:
  // A file operation may have to wait for a disk that has gigabytes to write.
  static constexpr std::int64_t patience_ns = 20'000'000'000;

  /// What the guide has in a step is waited for that long.
  explicit kernel_world(kernel& k, const history* guide = nullptr,
                        std::int64_t patience = patience_ns);
  history run(const program& p);

private:
  static constexpr std::size_t room = 48;
  static constexpr std::size_t much = 1 << 20;
  static constexpr int group = 3;
  static constexpr unsigned buffers = 4;
  static constexpr std::size_t buffer_size = 16;
  static constexpr int at_end = 1'000;

  enum class shape { plain, bytes, descriptor, chosen, big_send, counted_send, size_of_file };

  struct operation {
    raw_queue::id id = 0;
    int step = 0;
    const void* on = nullptr;  // the thing that it waits on
    shape form = shape::plain;
    bool receives = false;
    bool sends = false;
    bool chooses = false;
    bool ends = false;
    bool cancel_started = false;
    bool polls = false;
    bool polls_on = false;
    std::array<char, room> buffer{};
    struct statx found{};
    std::string path{};
    std::string other_path{};
  };
  struct connection {
    fd_pair pair{};
    bool tcp = false;
    std::size_t sent = 0;      // by the near end
    std::size_t received = 0;  // by the far end
    std::string text{};        // what that was, but for what is big
    bool big = false;
    bool peer_ended = false;
  };

  void renew(connection& c, bool tcp);
  void renew_pipe();
  operation& made(const program_step& s, const void* on, shape form);
  template <class... Parameters>
  operation& start(operation& op, void (*prepare)(io_uring_sqe*, Parameters...),
                   std::type_identity_t<Parameters>... arguments);
  template <class... Parameters>
  void finish(operation& op, void (*prepare)(io_uring_sqe*, Parameters...),
              std::type_identity_t<Parameters>... arguments);
  void choose_buffer();

  bool perform(const program_step& s);
  void perform_on_socket(const program_step& s, connection& c);
  void perform_on_pipe(const program_step& s);
  void perform_on_file(const program_step& s);
  void perform_elsewhere(const program_step& s);

  bool waits(const void* on) const;
  bool receiving(const void* on) const;
  bool polled(const void* on) const;
  bool sending(const void* on) const;
  operation* waiting_of(int step);

  void look();
  void end_choosing();
  void look_until(int step);
  bool guided(int step) const;
  void note(operation& op, const completion& c);
  void drain(connection& c);
  void settle_far(const connection& c);
  void close_world();
  std::string name(unsigned value) const { return {static_cast<char>('a' + value % 4)}; }

  kernel& kernel_;
  const history* guide_;
  std::int64_t patience_;
  history story_{};
  int step_ = 0;
  bool lost_ = false;

  temporary_directory directory_{};
  owned_fd at_{};
  owned_fd file_{};
  std::array<connection, 3> connections_{};
  fd_pair pipe_{};
  owned_fd counter_{};
  owned_fd listener_{};
  std::vector<owned_fd> clients_{};
  std::uint64_t one_ = 1;
  std::string much_ = std::string(much, 'm');
  std::string small_ = "the quick brown fox jumps over the lazy dog, twice";
  __kernel_timespec short_{.tv_sec = 0, .tv_nsec = 50'000};
  __kernel_timespec long_{.tv_sec = 3'600, .tv_nsec = 0};
  std::array<std::array<char, buffer_size>, buffers> chosen_{};
  std::vector<unsigned> taken_{};  // the buffers that the kernel does not have
  std::map<raw_queue::id, std::unique_ptr<operation>> waiting_{};
  std::optional<raw_queue> queue_{};
};

/// How two histories differ in what matters; empty when they don't.
std::string difference(const history& one, const history& other);

}  // namespace weft::tests
