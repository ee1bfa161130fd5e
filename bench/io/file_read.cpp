// SPDX-License-Identifier: MIT
// How fast are random reads of 4 KiB from a file in the page cache, 1, 32 and 128 at a time?
//
// Measured: 4096 reads of a 64 MiB file at random places, `depth` of them in flight; `per_item` is
// one read. With depth 1 each read is a turn of the loop of its own. Included: making and joining
// the `depth` tasks. Not measured: a disk. Bound: the kernel's copy of the page and its page cache,
// about 1.2 us; what is left is submission and completion. Baseline: raw liburing with as many
// reads in flight, the same places, the same buffers.

#include "bench/support/descriptors.hpp"
#include "bench/support/measure.hpp"
#include "bench/support/random.hpp"
#include "bench/support/raw_ring.hpp"
#include <weft/io/file.hpp>
#include <weft/runtime/task_group.hpp>

#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <fcntl.h>
#include <stdlib.h>

namespace {

constexpr std::size_t block_size = 4096;
constexpr std::uint64_t blocks = 64 * 1024 * 1024 / block_size;
constexpr std::size_t reads = 4096;

using block = std::array<std::uint64_t, block_size / sizeof(std::uint64_t)>;

/// A file whose blocks begin and end with their number, so that each read is checked.
class numbered_file {
public:
  numbered_file() : path_(std::filesystem::temp_directory_path() / "weft_bench_XXXXXX") {
    const bench::owned_fd fd(bench::checked(mkostemp(path_.data(), O_CLOEXEC), "mkostemp"));
    block b{};
    for (std::uint64_t i = 0; i < blocks; ++i) {
      b.front() = b.back() = i;
      bench::checked(::write(fd.get(), b.data(), block_size), "write");
    }
  }
  numbered_file(const numbered_file&) = delete;
  numbered_file& operator=(const numbered_file&) = delete;
  ~numbered_file() { (void)::unlink(path_.c_str()); }

  const std::string& path() const noexcept { return path_; }

private:
  std::string path_;
};

const numbered_file& the_file() {
  static const numbered_file file;
  return file;
}

bool right(const block& b, std::uint64_t number) {
  return b.front() == number && b.back() == number;
}

weft::task<> read_some(weft::file& from, block& b, std::size_t count, bench::random_numbers& random,
                       std::size_t& good) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t number = random.below(blocks);
    const std::size_t n =
        co_await from.read_at(number * block_size, {reinterpret_cast<char*>(b.data()), block_size});
    if (n == block_size && right(b, number)) ++good;
  }
}

weft::task<> read_all(benchmark::State& state) {
  const std::size_t depth = bench::size(state, 0);
  weft::file file = co_await weft::file::open(the_file().path());
  bench::random_numbers random;
  std::vector<block> buffers(depth);
  std::size_t good = 0;
  auto body = [&](weft::task_group& group) -> weft::task<> {
    for (block& b : buffers)
      group.spawn(read_some, std::ref(file), std::ref(b), reads / depth, std::ref(random),
                  std::ref(good));
    co_return;
  };
  for (auto _ : state) co_await weft::with_task_group(body);
  bench::expect(state, good == reads * static_cast<std::size_t>(state.iterations()),
                "a read was short or wrong");
  bench::per_item(state, reads);
}
void weft_file(benchmark::State& state) { weft::run(read_all(state)); }

void raw_liburing(benchmark::State& state) {
  const std::size_t depth = bench::size(state, 0);
  const bench::owned_fd fd(
      bench::checked(::open(the_file().path().c_str(), O_RDONLY | O_CLOEXEC), "open"));
  bench::raw_ring ring(128);
  bench::random_numbers random;
  std::vector<block> buffers(depth);
  std::vector<std::uint64_t> numbers(depth);
  std::size_t good = 0;
  std::size_t started = 0;
  const auto start = [&](std::size_t slot) {
    ++started;
    numbers[slot] = random.below(blocks);
    io_uring_prep_read(&ring.entry(slot), fd.get(), buffers[slot].data(), block_size,
                       numbers[slot] * block_size);
  };
  for (auto _ : state) {
    started = 0;
    for (std::size_t slot = 0; slot < depth; ++slot) start(slot);
    for (std::size_t ended = 0; ended < reads;)
      ring.turn([&](std::uint64_t slot, int n) {
        ++ended;
        if (n == block_size && right(buffers[slot], numbers[slot])) ++good;
        if (started < reads) start(slot);
      });
  }
  bench::expect(state, good == reads * static_cast<std::size_t>(state.iterations()),
                "a read was short or wrong");
  bench::per_item(state, reads);
}

void depths(benchmark::internal::Benchmark* b) {
  b->ArgName("depth")->Arg(1)->Arg(32)->Arg(128)->Unit(benchmark::kMicrosecond);
  b->Apply(bench::wall_clock);
}

}  // namespace

BENCHMARK(weft_file)->Name("io/file_read/weft")->Apply(depths);
BENCHMARK(raw_liburing)->Name("io/file_read/raw_liburing")->Apply(depths);
