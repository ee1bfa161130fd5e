// SPDX-License-Identifier: MIT
// Pure computing on every core: each row of a picture is a task, and the pool divides them.
//
//     mandelbrot [--size W H] [-o FILE.png] [--whole] [--workers N]

#include "support/mandelbrot.hpp"

#include "support/image.hpp"
#include "support/table.hpp"
#include <weft/weft.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <span>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

/// Writes to its own row and nothing else, so rows may be computed at the same time.
weft::task<> draw_row(const sample::view& v, int y, std::span<std::uint8_t> row) {
  sample::mandelbrot_row(v, y, row);
  co_return;
}

weft::task<sample::image> draw(sample::view v) {
  sample::image picture = sample::make_image(v.width, v.height);
  const std::size_t row_bytes = static_cast<std::size_t>(v.width) * 3;
  std::vector<weft::task<>> rows;
  for (int y = 0; y < v.height; ++y) {
    const auto begin = static_cast<std::size_t>(y) * row_bytes;
    rows.push_back(draw_row(v, y, std::span(picture.rgb).subspan(begin, row_bytes)));
  }
  co_await weft::when_all(std::move(rows));
  co_return picture;
}

int main(int argc, char** argv) {
  CLI::App app{"Draws a piece of the Mandelbrot set."};
  std::pair<int, int> size{1920, 1080};
  std::string path = "mandelbrot.png";
  bool whole = false;
  weft::run_options options{.workers = 0, .stall_after = 100ms};
  app.add_option("--size", size, "width and height in pixels")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("-o,--output", path, "the PNG file to write")->capture_default_str();
  app.add_flag("--whole", whole, "the whole set instead of the valley at its neck");
  app.add_option("--workers", options.workers, "1: an event loop, more: a pool, 0: all cores")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  try {
    sample::view v{.width = size.first, .height = size.second};
    if (whole) v = sample::whole_set(size.first, size.second);
    const auto start = std::chrono::steady_clock::now();
    const sample::image picture = weft::run(options, draw(v));
    const auto time = std::chrono::steady_clock::now() - start;
    sample::write_png(path, picture);
    std::printf("%s: %d x %d pixels, computed in %s\n", path.c_str(), v.width, v.height,
                sample::time_text(time).c_str());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mandelbrot: %s\n", e.what());
    return 1;
  }
}
