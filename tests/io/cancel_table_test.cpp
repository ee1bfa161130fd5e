// SPDX-License-Identifier: MIT
// Everything in io/ that a task can wait for, against a stop before it, meanwhile, in the turn of
// its end, and after it. What the kernel has given is delivered, or still there for who comes next.
#include "support/both_schedulers.hpp"
#include "support/cancel_histories.hpp"
#include "support/temporary_directory.hpp"
#include "support/test_kernel.hpp"
#include "weft/io/blocking.hpp"
#include "weft/io/file.hpp"
#include "weft/io/signal_set.hpp"
#include "weft/io/tcp.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace cancel_table_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::histories_of_what_ends;
using tests::histories_of_what_lasts;
using tests::many_races;
using tests::on_both;
using tests::one_history;
using tests::order;
using tests::was_granted;

namespace {

/// The far end of a connection, in the hands of a plain thread: nothing in it waits for weft.
class far_end {
public:
  explicit far_end(const endpoint& there) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in address{.sin_family = AF_INET,
                              .sin_port = htons(there.port()),
                              .sin_addr = {htonl(INADDR_LOOPBACK)},
                              .sin_zero = {}};
    REQUIRE(fd_ >= 0);
    REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  far_end(const far_end&) = delete;
  far_end& operator=(const far_end&) = delete;
  ~far_end() { ::close(fd_); }

  void write_one() { REQUIRE(::send(fd_, "1", 1, MSG_NOSIGNAL) == 1); }
  /// Takes what has arrived; how much that was.
  std::size_t drain() {
    std::size_t taken = 0;
    std::array<char, 65536> buffer;
    for (;;) {
      const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (n <= 0) return taken;
      taken += static_cast<std::size_t>(n);
    }
  }

  /// Takes everything up to the end of the connection.
  std::size_t drain_to_end() {
    std::size_t taken = 0;
    std::array<char, 65536> buffer;
    while (const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), 0)) {
      if (n < 0) return taken;
      taken += static_cast<std::size_t>(n);
    }
    return taken;
  }

private:
  int fd_;
};

struct accept_rig {
  static constexpr bool by_kernel = true;

  void start(task_group&) {}
  task<bool> wait() {
    result<tcp_stream> r = co_await as_result(listener.accept());
    if (r) ++accepted;
    co_return r.has_value();
  }
  void grant() { peers.emplace_back(std::make_unique<far_end>(listener.local_endpoint())); }
  bool left_over() const { return accepted != peers.size(); }

  tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
  std::vector<std::unique_ptr<far_end>> peers;
  std::size_t accepted = 0;
};

/// A connection whose other end is a plain one.
struct connection {
  task<> prepare() {
    peer.emplace(listener.local_endpoint());
    stream = co_await listener.accept();
  }

  tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
  std::optional<far_end> peer;
  tcp_stream stream;
};

struct read_rig : connection {
  static constexpr bool by_kernel = true;

  void start(task_group&) {}
  task<bool> wait() {
    char byte = 0;
    const result<std::size_t> r = co_await as_result(stream.read({&byte, 1}));
    if (r) ++received;
    co_return r.has_value();
  }
  void grant() {
    ++written;
    peer->write_one();
  }
  bool left_over() const { return written != received; }

  int written = 0;
  int received = 0;
};

/// The socket's buffer is full to begin with; the grant is the room that the other end makes. What
/// arrives there is what was written: a cancelled write has written nothing.
struct write_rig : connection {
  static constexpr bool by_kernel = true;
  static constexpr bool once = true;

  task<> prepare() {
    co_await connection::prepare();
    for (int refused = 0; refused < 3;) {  // not once: what is under way still makes room
      const auto written = co_await as_result(with_timeout(1ms, stream.write(bytes)));
      refused = written ? 0 : refused + 1;
      if (written) sent += *written;
    }
  }
  void start(task_group&) {}
  task<bool> wait() {
    const result<std::size_t> r = co_await as_result(stream.write(bytes));
    if (r) sent += *r;
    taken = r.has_value();
    co_return r.has_value();
  }
  void grant() {
    granted = true;
    arrived += peer->drain();
  }
  bool needs_grant() const { return left_over(); }
  bool left_over() const { return granted && !taken; }
  ~write_rig() {
    stream = {};  // then the rest arrives, and the end
    arrived += peer->drain_to_end();
    CHECK(arrived == sent);
  }

  std::vector<std::byte> bytes = std::vector<std::byte>(65536);
  std::size_t sent = 0;
  std::size_t arrived = 0;
  std::atomic<bool> granted = false;
  std::atomic<bool> taken = false;
};

/// A call that runs on a helper thread until it is granted; a stop that meets it there waits, too.
struct blocking_rig {
  static constexpr bool by_kernel = true;
  static constexpr bool not_stopped = true;

  void start(task_group&) {}
  task<bool> wait() {
    const bool was = co_await was_granted(blocking([this] { granted.wait(false); }));
    if (was) taken = true;
    co_return was;
  }
  void grant() {
    granted = true;
    granted.notify_all();
  }
  bool left_over() const { return granted && !taken; }

  std::atomic<bool> granted = false;
  std::atomic<bool> taken = false;
};

/// A signal ends the wait that has begun, or finds the handler of before: then it is sent again.
/// One that has met a wait is given by that wait, also when a stop has ended it.
struct signal_rig {
  static constexpr bool by_kernel = true;

  signal_rig() {
    met_nobody = false;
    struct sigaction action{};
    action.sa_handler = [](int) { met_nobody = true; };
    ::sigaction(SIGUSR1, &action, &before);
  }
  signal_rig(const signal_rig&) = delete;
  signal_rig& operator=(const signal_rig&) = delete;
  ~signal_rig() {
    ::sigaction(SIGUSR1, &before, nullptr);
    CHECK(met == received);
  }

  void start(task_group&) {}
  task<bool> wait() {
    const result<int> r = co_await as_result(signal_set(SIGUSR1).wait());
    if (r) {
      CHECK(*r == SIGUSR1);
      ++received;
      open = false;
    }
    under_way = false;  // from here on another worker may send it again, if it is open
    co_return r.has_value();
  }
  void grant() {
    open = true;
    met_nobody = false;
    under_way = true;
    REQUIRE(std::raise(SIGUSR1) == 0);  // returns when its handler has
    if (met_nobody)
      under_way = false;
    else
      ++met;
  }
  bool needs_grant() const { return !under_way && open; }
  bool left_over() const { return open; }

  static inline std::atomic<bool> met_nobody;
  struct sigaction before{};
  std::atomic<bool> open = false;
  std::atomic<bool> under_way = false;  // to the wait that it met; a second one would end the tests
  std::atomic<int> met = 0;
  std::atomic<int> received = 0;
};

/// A signal that nobody sends.
struct long_signal_rig {
  task<bool> wait() {
    const bool was = co_await was_granted(signal_set(SIGUSR1).wait());
    co_return was;
  }
};

/// Its listener's queue is full: nobody answers.
struct long_connect_rig {
  task<> prepare() { first = co_await tcp_stream::connect(listener.local_endpoint()); }
  task<bool> wait() {
    const bool was = co_await was_granted(tcp_stream::connect(listener.local_endpoint()));
    co_return was;
  }

  tcp_listener listener = tcp_listener::bind("127.0.0.1:0", {.backlog = 0});
  tcp_stream first;
};

struct connect_rig {
  task<bool> wait() {
    const bool was = co_await was_granted(tcp_stream::connect(listener.local_endpoint()));
    co_return was;
  }

  tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
};

struct quick_call_rig {
  task<bool> wait() {
    const bool was = co_await was_granted(blocking([] {}));
    co_return was;
  }
};

struct file_rig {
  file_rig() { tests::write_file(folder / "text", "text"); }

  tests::temporary_directory folder;
  std::string path = (folder / "text").string();
};

struct open_rig : file_rig {
  task<bool> wait() {
    const bool was = co_await was_granted(file::open(path));
    co_return was;
  }
};

struct read_at_rig : file_rig {
  task<> prepare() { opened = co_await file::open(path); }
  task<bool> wait() {
    std::array<char, 4> text{};
    const result<std::size_t> r = co_await as_result(opened.read_at(0, text));
    if (r) CHECK(std::string(text.data(), *r) == "text");
    co_return r.has_value();
  }

  file opened;
};

/// What the test kernel holds back until it is granted. Each time it has done its work it has been
/// told so, whatever was asked of it meanwhile.
template <class Operation, bool Running = false>
struct held_rig : Operation {
  static constexpr bool by_kernel = true;

  static void set_up(tests::test_kernel& k) {
    k.world.files["/text"] = std::make_shared<std::string>("text");
    k.on_entry = [](const io_uring_sqe& entry) -> tests::test_kernel::entry_plan {
      if (entry.opcode != Operation::opcode) return {};
      if (!open) return {.delay_ns = tests::test_kernel::never};
      ++done;
      return {};
    };
    if (Running)
      k.on_cancel = [](const io_uring_sqe&) -> tests::test_kernel::cancel_plan {
        return {.result = -EALREADY};
      };
  }

  held_rig() {
    open = false;
    done = 0;
  }
  held_rig(const held_rig&) = delete;
  held_rig& operator=(const held_rig&) = delete;
  ~held_rig() { CHECK(done == received); }

  void start(task_group&) {}
  task<bool> wait() {
    const bool was = co_await this->operate();
    if (was) {
      ++received;
      open = false;
    }
    co_return was;
  }
  void grant() {
    open = true;
    done += static_cast<tests::test_kernel&>(current_kernel()).complete_held();
  }
  bool left_over() const { return open; }

  static inline std::atomic<bool> open;  // the next one that comes is not held
  static inline std::atomic<int> done;
  std::atomic<int> received = 0;
};

/// The same for what the kernel has begun: a stop that meets it there waits, too.
template <class Operation>
struct running_rig : held_rig<Operation, true> {
  static constexpr bool not_stopped = true;
};

struct held_connect {
  static constexpr auto opcode = IORING_OP_CONNECT;

  task<bool> operate() {
    const bool was = co_await was_granted(tcp_stream::connect(listener.local_endpoint()));
    co_return was;
  }

  tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
};

struct held_open {
  static constexpr auto opcode = IORING_OP_OPENAT;

  task<bool> operate() {
    const bool was = co_await was_granted(file::open("/text"));
    co_return was;
  }
};

struct held_read_at {
  static constexpr auto opcode = IORING_OP_READ;

  task<> prepare() { opened = co_await file::open("/text"); }
  task<bool> operate() {
    std::array<char, 4> text{};
    const result<std::size_t> r = co_await as_result(opened.read_at(0, text));
    if (r) CHECK(std::string(text.data(), *r) == "text");
    co_return r.has_value();
  }

  file opened;
};

constexpr std::array orders{order::stop_before, order::stop_while_waiting, order::grant_then_stop,
                            order::stop_then_grant, order::stop_after};

}  // namespace

#define HELD                                                                                      \
  held_rig<held_connect>, held_rig<held_open>, held_rig<held_read_at>, running_rig<held_connect>, \
      running_rig<held_open>, running_rig<held_read_at>

TEST_SUITE("io/cancel_table") {
  TEST_CASE_TEMPLATE("a stop and a grant, in every order", Rig, accept_rig, read_rig, write_rig,
                     blocking_rig, signal_rig) {
    for (const order o : orders) {
      CAPTURE(o);
      on_both([o](const run_options& options) { run(options, one_history<Rig>(o)); });
    }
  }

  TEST_CASE_TEMPLATE("a stop that races with a grant resumes once and loses nothing", Rig,
                     accept_rig, read_rig, blocking_rig, signal_rig) {
    on_both([](const run_options& options) { run(options, many_races<Rig>(50)); });
  }

  TEST_CASE("a stop that races with the room for a write writes what it says, or nothing") {
    // Fewer, because each fills a socket first: every pair of delays once.
    on_both([](const run_options& options) { run(options, many_races<write_rig>(16)); });
  }

  TEST_CASE_TEMPLATE("what the kernel has done is delivered, whenever the stop comes", Rig, HELD) {
    const auto on_test_kernel = [](auto make_task) {
      on_both([&](run_options options) {
        tests::test_kernel k;
        Rig::set_up(k);
        options.kernel = &k;
        run(options, make_task());
        CHECK(k.world.open_descriptors() == 0);
      });
    };
    for (const order o : orders) {
      CAPTURE(o);
      on_test_kernel([o] { return one_history<Rig>(o); });
    }
    on_test_kernel([] { return many_races<Rig>(50); });
  }

  TEST_CASE_TEMPLATE("a stop before, during and after what ends by itself", Rig, connect_rig,
                     quick_call_rig, open_rig, read_at_rig) {
    on_both([](const run_options& options) { run(options, histories_of_what_ends<Rig>(30)); });
  }

  TEST_CASE_TEMPLATE("a stop before and during what would last for ever", Rig, long_signal_rig,
                     long_connect_rig) {
    on_both([](const run_options& options) { run(options, histories_of_what_lasts<Rig>()); });
  }
}

#undef HELD

}  // namespace cancel_table_test
