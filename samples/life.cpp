// SPDX-License-Identifier: MIT
// A loop on every core: Conway's game of life on a torus.
// A generation is one parallel_for over all cells, and a parallel_reduce counts who lives.
//
//     life [--size W H] [--generations N] [--seed N] [-o FILE.png] [--workers N]

#include "support/image.hpp"
#include "support/table.hpp"
#include <weft/weft.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

struct board {
  std::ptrdiff_t width;
  std::ptrdiff_t height;
  std::vector<std::uint8_t> cells =
      std::vector<std::uint8_t>(static_cast<std::size_t>(width) * static_cast<std::size_t>(height));

  std::size_t place(std::ptrdiff_t y, std::ptrdiff_t x) const {
    return static_cast<std::size_t>(y * width + x);
  }
};

/// Behind the last column comes the first one, and behind the last row.
bool lives_on(const board& b, std::ptrdiff_t y, std::ptrdiff_t x) {
  int around = 0;
  for (const std::ptrdiff_t row : {(y + b.height - 1) % b.height, y, (y + 1) % b.height})
    for (const std::ptrdiff_t column : {(x + b.width - 1) % b.width, x, (x + 1) % b.width})
      around += b.cells[b.place(row, column)];
  const bool lives = b.cells[b.place(y, x)] != 0;
  return around == 3 || (lives && around == 4);  // itself is among them
}

/// Each cell is written by one iteration, and all read what no one writes: nothing is locked.
weft::task<> step(const board& from, board& to) {
  const auto next = [&](std::ptrdiff_t y, std::ptrdiff_t x) {
    to.cells[to.place(y, x)] = lives_on(from, y, x) ? 1 : 0;
  };
  co_await weft::parallel_for(weft::index_space(from.height, from.width), next);
}

struct outcome {
  board last;
  long alive;
  std::chrono::nanoseconds time;  // of the generations
};

weft::task<outcome> play(board now, int generations) {
  const auto start = std::chrono::steady_clock::now();
  board next = now;
  for (int i = 0; i < generations; ++i) {
    co_await step(now, next);
    std::swap(now, next);
  }
  const auto time = std::chrono::steady_clock::now() - start;
  const long alive = co_await weft::parallel_reduce(now.cells, 0L, std::plus<>());
  outcome end{std::move(now), alive, time};
  co_return end;
}

board random_board(std::pair<int, int> size, unsigned seed) {
  board b{.width = size.first, .height = size.second};
  std::minstd_rand random(seed);
  for (std::uint8_t& cell : b.cells) cell = random() / 1024 % 4 == 0 ? 1 : 0;
  return b;
}

sample::image drawn(const board& b) {
  sample::image picture = sample::make_image(static_cast<int>(b.width), static_cast<int>(b.height));
  for (std::size_t i = 0; i < picture.rgb.size(); ++i) picture.rgb[i] = b.cells[i / 3] * 255;
  return picture;
}

int main(int argc, char** argv) {
  CLI::App app{"Plays Conway's game of life on a torus."};
  std::pair<int, int> size{1024, 768};
  int generations = 100;
  unsigned seed = 1;
  std::string path = "life.png";
  weft::run_options options{.workers = 0, .stall_after = 100ms};
  app.add_option("--size", size, "columns and rows")
      ->check(CLI::Range(1, 16384))
      ->capture_default_str();
  app.add_option("--generations", generations, "how many to play")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--seed", seed, "another number, another beginning")->capture_default_str();
  app.add_option("-o,--output", path, "the PNG file to write")->capture_default_str();
  app.add_option("--workers", options.workers, "1: an event loop, more: a pool, 0: all cores")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  try {
    const outcome end = weft::run(options, play(random_board(size, seed), generations));
    sample::write_png(path, drawn(end.last));
    std::printf("%s: %d x %d cells, %ld alive after %d generations, computed in %s\n", path.c_str(),
                size.first, size.second, end.alive, generations,
                sample::time_text(end.time).c_str());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "life: %s\n", e.what());
    return 1;
  }
}
