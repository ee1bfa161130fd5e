// SPDX-License-Identifier: MIT

#include "workloads.hpp"

#include "slow_server.hpp"
#include <weft/io/fs.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <system_error>
#include <utility>

#include <unistd.h>

namespace demo {

std::vector<weft::task<std::string>> requests(weft::endpoint server, std::uint32_t count) {
  std::vector<weft::task<std::string>> tasks;
  for (std::uint32_t i = 0; i < count; ++i) tasks.push_back(fetch(server, i));
  return tasks;
}

namespace {

weft::task<row> compute_row(sample::view view, int y) {
  row pixels(static_cast<std::size_t>(view.width) * 3);
  sample::mandelbrot_row(view, y, pixels);
  co_return pixels;
}

weft::task<sample::file_hash> hash_with_permit(std::string path, weft::semaphore& open_files) {
  const auto permit = co_await open_files.acquire();
  co_return co_await sample::hash_file(std::move(path));
}

/// Every eighth pixel of every eighth row: what is left of a picture that has been blurred.
sample::image shrunk(const sample::image& from) {
  constexpr int step = 8;
  sample::image to = sample::make_image(from.width / step, from.height / step);
  for (int y = 0; y < to.height; ++y) {
    for (int x = 0; x < to.width; ++x) {
      const auto source = static_cast<std::size_t>(y * step * from.width + x * step) * 3;
      const auto target = static_cast<std::size_t>(y * to.width + x) * 3;
      std::copy_n(&from.rgb[source], 3, &to.rgb[target]);
    }
  }
  return to;
}

weft::task<sample::image> make_thumbnail(weft::endpoint server, std::uint32_t number) {
  const std::string png = co_await fetch(server, number);
  const sample::image picture = sample::decode_png(std::as_bytes(std::span(png)));
  co_return shrunk(sample::box_blur(picture, 4));
}

}  // namespace

std::vector<weft::task<row>> rows(const sample::view& view) {
  std::vector<weft::task<row>> tasks;
  for (int y = 0; y < view.height; ++y) tasks.push_back(compute_row(view, y));
  return tasks;
}

std::vector<weft::task<sample::file_hash>> hashes(const std::vector<std::string>& paths,
                                                  weft::semaphore& open_files) {
  std::vector<weft::task<sample::file_hash>> tasks;
  for (const std::string& path : paths) tasks.push_back(hash_with_permit(path, open_files));
  return tasks;
}

std::vector<weft::task<sample::image>> thumbnails(weft::endpoint server, std::uint32_t count) {
  std::vector<weft::task<sample::image>> tasks;
  for (std::uint32_t i = 0; i < count; ++i) tasks.push_back(make_thumbnail(server, i));
  return tasks;
}

weft::task<std::vector<std::string>> files_below(std::string directory) {
  std::vector<std::string> paths;
  const auto leave_out = [](const std::string&, std::error_code) {};
  const auto visit = [&](const weft::fs::directory_entry& entry) {
    if (entry.type != weft::fs::file_type::regular) return;
    if (::access(entry.path.c_str(), R_OK) == 0) paths.push_back(entry.path);
  };
  co_await weft::fs::walk(directory, {.on_error = leave_out}, visit);
  std::ranges::sort(paths);
  co_return paths;
}

std::vector<std::string> pictures(int width, int height) {
  std::vector<std::string> files;
  sample::view view{.width = width, .height = height, .max_iterations = 300};
  for (int i = 0; i < 4; ++i) {
    sample::image picture = sample::make_image(width, height);
    const std::size_t row_bytes = static_cast<std::size_t>(width) * 3;
    for (int y = 0; y < height; ++y) {
      const auto begin = static_cast<std::size_t>(y) * row_bytes;
      sample::mandelbrot_row(view, y, std::span(picture.rgb).subspan(begin, row_bytes));
    }
    const std::vector<std::byte> png = sample::encode_png(picture);
    files.emplace_back(reinterpret_cast<const char*>(png.data()), png.size());
    view.extent_re *= 0.6;  // closer
  }
  return files;
}

}  // namespace demo
