// SPDX-License-Identifier: MIT
// Finds the lines of several files that contain a word, as a pipeline of generators.
//
// All files are read at the same time, and none any further than its lines are asked for.
//
//     pipeline [--count N] [--workers N] WORD FILE...
//
// Prints `FILE:NUMBER:LINE`, as `grep -nHF WORD FILE...` does, but in the order in which the lines
// are there, and ends after N of them.

#include <weft/weft.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <limits>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

struct numbered_line {
  std::string file;
  std::size_t number = 0;
  std::string text;
};

weft::async_generator<numbered_line> lines_of(std::string path) {
  weft::file file = co_await weft::file::open(path);
  auto lines = file.lines();
  std::size_t number = 0;
  while (auto text = co_await lines.next()) {
    numbered_line line{path, ++number, std::move(*text)};
    co_yield std::move(line);
  }
}

std::string as_text(numbered_line line) {
  return line.file + ':' + std::to_string(line.number) + ':' + line.text;
}

weft::task<> search(std::string word, std::vector<std::string> paths, std::size_t count) {
  std::vector<weft::async_generator<numbered_line>> files;
  for (std::string& path : paths) files.push_back(lines_of(std::move(path)));
  const auto has_word = [&word](const numbered_line& line) {
    return line.text.find(word) != std::string::npos;
  };
  const auto print = [](const std::string& text) { std::printf("%s\n", text.c_str()); };

  // for_each ends the pipeline when it has its lines: the files that are still being read, too.
  co_await weft::for_each(weft::merge(std::move(files)) | weft::filter(has_word) |
                              weft::transform(as_text) | weft::take(count),
                          print);
}

int main(int argc, char** argv) {
  CLI::App app{"Finds the lines of several files that contain a word."};
  std::string word;
  std::vector<std::string> files;
  std::size_t count = std::numeric_limits<std::size_t>::max();
  weft::run_options options{.stall_after = 100ms};
  app.add_option("WORD", word, "what the lines contain")->required();
  app.add_option("FILE", files, "where to look")->required();
  app.add_option("--count", count, "lines after which to end; all without it");
  app.add_option("--workers", options.workers, "1: an event loop, more: a pool, 0: all cores")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  try {
    weft::run(options, search(word, files, count));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "pipeline: %s\n", e.what());
    return 1;
  }
}
