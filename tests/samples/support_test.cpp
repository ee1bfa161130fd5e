// SPDX-License-Identifier: MIT
// The parts of the samples that are plain functions.

#include "samples/concurrency_vs_parallelism/three_ways.hpp"
#include "samples/support/image.hpp"
#include "samples/support/latency.hpp"
#include "samples/support/mandelbrot.hpp"
#include "samples/support/progress.hpp"
#include "samples/support/sha256.hpp"
#include "samples/support/table.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

using namespace std::chrono_literals;
using sample::image;

namespace {

weft::task<int> number(int n) { co_return n; }

image colourful(int width, int height) {
  image picture = sample::make_image(width, height);
  for (std::size_t i = 0; i < picture.rgb.size(); ++i) {
    picture.rgb[i] = static_cast<std::uint8_t>(i * i * 7 + i / 3);
  }
  return picture;
}

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span{text}); }

std::string sha256_of(std::string_view text) {
  sample::sha256 hash;
  hash.update(bytes(text));
  return hash.hex();
}

std::uint32_t number_at(std::span<const std::byte> file, std::size_t at) {
  std::uint32_t n = 0;
  for (std::size_t i = 0; i < 4; ++i) n = n << 8 | std::to_integer<std::uint32_t>(file[at + i]);
  return n;
}

/// As PNG computes it: CRC-32 of a chunk's kind and contents.
std::uint32_t checksum(std::span<const std::byte> data) {
  std::uint32_t sum = ~0u;
  for (const std::byte b : data) {
    sum ^= std::to_integer<std::uint32_t>(b);
    for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ ((sum & 1) != 0 ? 0xEDB88320u : 0);
  }
  return ~sum;
}

/// Gives each chunk the checksum that its contents ask for.
void repair_checksums(std::span<std::byte> file) {
  std::size_t at = 8;  // behind the signature
  while (at + 12 <= file.size()) {
    const std::size_t length = number_at(file, at);
    if (length > file.size() - at - 12) return;
    const std::uint32_t sum = checksum(file.subspan(at + 4, 4 + length));
    for (std::size_t i = 0; i < 4; ++i)
      file[at + 8 + length + i] = static_cast<std::byte>(sum >> (24 - 8 * i));
    at += 12 + length;
  }
}

/// The mean that box_blur promises, computed the slow way; rounding twice may move it by one.
int mean_around(const image& picture, int x, int y, std::size_t channel, int radius) {
  int sum = 0;
  int count = 0;
  for (int v = y - radius; v <= y + radius; ++v) {
    for (int u = x - radius; u <= x + radius; ++u) {
      if (u < 0 || v < 0 || u >= picture.width || v >= picture.height) continue;
      sum += picture.rgb[static_cast<std::size_t>(v * picture.width + u) * 3 + channel];
      ++count;
    }
  }
  return (sum + count / 2) / count;
}

}  // namespace

TEST_SUITE("samples/support") {
  TEST_CASE("a picture survives PNG") {
    for (const auto& [width, height] : {std::pair{1, 1}, {37, 23}, {300, 2}}) {
      const image picture = colourful(width, height);
      CHECK(sample::decode_png(sample::encode_png(picture)) == picture);
    }
  }

  TEST_CASE("a PNG cut off anywhere is refused") {
    const std::vector<std::byte> file = sample::encode_png(colourful(37, 23));
    for (std::size_t size = 0; size < file.size(); ++size) {
      CAPTURE(size);
      CHECK_THROWS_AS(sample::decode_png(std::span{file}.first(size)), std::runtime_error);
    }
  }

  TEST_CASE("a PNG with a flipped byte is refused or read, never worse") {
    const std::vector<std::byte> file = sample::encode_png(colourful(37, 23));
    std::size_t refused = 0;
    for (std::size_t i = 0; i < file.size(); ++i) {
      std::vector<std::byte> broken = file;
      broken[i] ^= std::byte{0x55};
      try {
        static_cast<void>(sample::decode_png(broken));
      } catch (const std::runtime_error&) {
        ++refused;
      }
    }
    CHECK(refused > file.size() / 2);
  }

  TEST_CASE("a PNG with a flipped byte that its checksums do not show is refused or read") {
    const std::vector<std::byte> file = sample::encode_png(colourful(37, 23));
    std::vector<std::byte> same = file;
    repair_checksums(same);
    REQUIRE(same == file);
    std::size_t refused = 0;
    for (std::size_t i = 8; i < file.size(); ++i) {
      std::vector<std::byte> broken = file;
      broken[i] ^= std::byte{0x55};
      repair_checksums(broken);
      try {
        const image picture = sample::decode_png(broken);
        CHECK(picture.rgb.size() == static_cast<std::size_t>(picture.width * picture.height) * 3);
      } catch (const std::runtime_error&) {
        ++refused;
      }
    }
    CHECK(refused > file.size() / 2);
  }

  TEST_CASE("a PNG that claims to be huge is refused before memory is asked for") {
    std::vector<std::byte> file = sample::encode_png(colourful(37, 23));
    constexpr std::array<std::byte, 4> million{std::byte{0}, std::byte{0x0F}, std::byte{0x42},
                                               std::byte{0x40}};
    for (const std::ptrdiff_t at : {16, 20}) std::copy_n(million.begin(), 4, file.begin() + at);
    repair_checksums(file);
    CHECK_THROWS_WITH_AS(sample::decode_png(file), "reading PNG: the picture is too large",
                         std::runtime_error);
  }

  TEST_CASE("what is no picture is refused") {
    CHECK_THROWS_AS(sample::decode_png(bytes("")), std::runtime_error);
    CHECK_THROWS_AS(sample::decode_png(bytes("GIF89a, and a few bytes more")), std::runtime_error);
    CHECK_THROWS_AS(sample::make_image(0, 5), std::invalid_argument);
    CHECK_THROWS_AS(sample::make_image(1 << 20, 1 << 20), std::invalid_argument);
    CHECK_THROWS_AS(sample::encode_png({2, 2, {1, 2, 3}}), std::invalid_argument);
  }

  TEST_CASE("a picture that cannot be written is named by the error") {
    try {
      sample::write_png("/no/such/folder/a.png", colourful(2, 2));
      FAIL("written");
    } catch (const std::system_error& e) {
      CHECK(e.code() == std::errc::no_such_file_or_directory);
      CHECK(std::string_view{e.what()}.find("/no/such/folder/a.png") != std::string_view::npos);
    }
  }

  TEST_CASE("the blur of a plain picture is the picture") {
    image plain = sample::make_image(31, 17);
    for (std::size_t i = 0; i < plain.rgb.size(); ++i) {
      plain.rgb[i] = std::array<std::uint8_t, 3>{255, 0, 77}[i % 3];
    }
    for (const int radius : {0, 1, 5, 16, 1000}) CHECK(sample::box_blur(plain, radius) == plain);
  }

  TEST_CASE("a blur is the mean of the square around each pixel") {
    const image picture = colourful(19, 11);
    for (const int radius : {1, 3, 40}) {
      const image blurred = sample::box_blur(picture, radius);
      int worst = 0;
      for (int y = 0; y < picture.height; ++y) {
        for (int x = 0; x < picture.width; ++x) {
          for (std::size_t c = 0; c < 3; ++c) {
            const int is = blurred.rgb[static_cast<std::size_t>(y * picture.width + x) * 3 + c];
            worst = std::max(worst, std::abs(is - mean_around(picture, x, y, c, radius)));
          }
        }
      }
      CHECK(worst <= 1);
    }
    CHECK(sample::box_blur(picture, 0) == picture);
    CHECK_THROWS_AS(sample::box_blur(picture, -1), std::invalid_argument);
  }

  TEST_CASE("the Mandelbrot set is black, mirrored at the real axis, and coloured around") {
    const sample::view v = sample::whole_set(64, 48);
    std::vector<std::vector<std::uint8_t>> rows(48, std::vector<std::uint8_t>(64 * 3));
    for (int y = 0; y < 48; ++y) sample::mandelbrot_row(v, y, rows[static_cast<std::size_t>(y)]);
    for (std::size_t y = 0; y < 24; ++y) CHECK(rows[y] == rows[47 - y]);
    const std::vector<std::uint8_t>& middle = rows[24];
    const std::size_t origin = std::size_t((0.6 / v.extent_re + 0.5) * 64) * 3;
    CHECK(middle[origin] + middle[origin + 1] + middle[origin + 2] == 0);
    CHECK(middle[0] + middle[1] + middle[2] > 0);
    CHECK_THROWS_AS(sample::mandelbrot_row(v, 48, rows[0]), std::invalid_argument);
    CHECK_THROWS_AS(sample::mandelbrot_row(v, 0, std::span{rows[0]}.first(5)),
                    std::invalid_argument);
  }

  TEST_CASE("SHA-256 gives the known answers") {
    CHECK(sha256_of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    CHECK(sha256_of(std::string(1'000'000, 'a')) ==
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  }

  TEST_CASE("a hash can be read in between and fed in pieces") {
    sample::sha256 hash;
    hash.update(bytes("ab"));
    CHECK(hash.hex() == sha256_of("ab"));
    hash.update(bytes(""));
    hash.update(bytes("c"));
    CHECK(hash.hex() == sha256_of("abc"));
    CHECK(hash.hex() == sha256_of("abc"));
  }

  TEST_CASE("names are escaped as sha256sum escapes them") {
    CHECK(sample::sha256sum_line("00ff", "a b/ü\t*") == "00ff  a b/ü\t*\n");
    CHECK(sample::sha256sum_line("00ff", "a\\b") == "\\00ff  a\\\\b\n");
    CHECK(sample::sha256sum_line("00ff", "a\nb") == "\\00ff  a\\nb\n");
    CHECK(sample::sha256sum_line("00ff", "a\rb") == "\\00ff  a\\rb\n");
  }

  TEST_CASE("percentiles are exact to a bucket") {
    sample::latency_histogram times;
    CHECK(times.percentile(50) == 0ns);
    for (int i = 1; i <= 1000; ++i) times.add(std::chrono::microseconds{i});
    CHECK(times.count() == 1000);
    CHECK(times.max() == 1ms);
    for (const auto& [percent, us] :
         {std::pair{50.0, 500.0}, {90.0, 900.0}, {99.0, 990.0}, {99.9, 999.0}}) {
      const double got = static_cast<double>(times.percentile(percent).count()) / 1000;
      CAPTURE(percent);
      CHECK(got >= us);
      CHECK(got <= us * 1.016);
    }
    CHECK(times.percentile(100) == 1ms);
    CHECK(times.percentile(0) >= 1us);
  }

  TEST_CASE("small, huge and negative times have a bucket") {
    sample::latency_histogram times;
    times.add(-5ns);
    times.add(63ns);
    times.add(64ns);
    times.add(127ns);
    times.add(std::chrono::nanoseconds::max());
    CHECK(times.percentile(20) == 0ns);
    CHECK(times.percentile(40) == 63ns);
    CHECK(times.percentile(60) == 64ns);
    CHECK(times.percentile(80) == 127ns);
    CHECK(times.percentile(100) == std::chrono::nanoseconds::max());
  }

  TEST_CASE("merged histograms count as one") {
    sample::latency_histogram a;
    sample::latency_histogram b;
    a.add(10ns);
    b.add(20ns);
    b.add(30ns);
    a.merge(b);
    CHECK(a.count() == 3);
    CHECK(a.percentile(50) == 20ns);
    CHECK(a.summary() == "p50 20 ns, p90 30 ns, p99 30 ns, p99.9 30 ns, max 30 ns");
  }

  TEST_CASE("a table aligns times and speed-ups whatever the names are") {
    sample::time_table table{{"one after the other", "event loop", "pool"}};
    table.add("waiting", {4'020ms, 25'100us, 24ms});
    table.add("größe µ", {900ms, 905ms, 0ms});
    CHECK(table.text() == "          one after the other        event loop             pool\n"
                          "----------------------------------------------------------------\n"
                          "waiting                4.02 s   25.1 ms   160 x   24.0 ms  168 x\n"
                          "größe µ                900 ms    905 ms  0.99 x      0 ns      -\n");
    CHECK_THROWS_AS(table.add("short", {1s}), std::invalid_argument);
  }

  TEST_CASE("a table without rows is its heading") {
    CHECK(sample::time_table{{"a", "b"}}.text() == "   a   b\n--------\n");
  }

  TEST_CASE("times are printed with three digits") {
    CHECK(sample::time_text(0ns) == "0 ns");
    CHECK(sample::time_text(1234us) == "1.23 ms");
    CHECK(sample::time_text(999'999ns) == "1.00 ms");
    CHECK(sample::time_text(61s) == "61.0 s");
    CHECK(sample::time_text(-1500ns) == "-1.50 µs");
  }

  TEST_CASE("progress may be reported without a terminal") {
    sample::progress progress{"files", 10};
    progress.set_total(20);
    for (int i = 0; i < 20; ++i) progress.advance();
  }

  TEST_CASE("the demo fails when one way gives other results, and says in which lesson") {
    const demo::lesson about{
        .name = "counting", .what = "to three", .conclusion = "", .notes = {"", "", ""}};
    enum class mistake { none, value, order, one_less };
    int made = 0;  // how often the tasks were made: once for each way
    const auto measure = [&](int wrong_way, mistake m) {
      made = 0;
      demo::three_ways ways(2);
      return ways.measure(about, [&] {
        const bool wrong = made++ == wrong_way;
        std::vector<weft::task<int>> tasks;
        tasks.push_back(number(wrong && m == mistake::order ? 2 : 1));
        tasks.push_back(number(wrong && m == mistake::order ? 1 : 2));
        if (!wrong || m != mistake::one_less)
          tasks.push_back(number(wrong && m == mistake::value ? 4 : 3));
        return tasks;
      });
    };
    CHECK(measure(0, mistake::none).size() == 3);
    CHECK(made == 3);
    for (const int wrong_way : {0, 1, 2}) {
      for (const mistake m : {mistake::value, mistake::order, mistake::one_less}) {
        CAPTURE(wrong_way);
        CAPTURE(static_cast<int>(m));
        CHECK_THROWS_WITH_AS(measure(wrong_way, m),
                             "counting: the three ways do not give the same results",
                             std::runtime_error);
        CHECK(made == 3);
      }
    }
  }
}
