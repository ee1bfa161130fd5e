// SPDX-License-Identifier: MIT
// PNG through libpng's simplified interface, which returns errors: no longjmp crosses a destructor.

#include "image.hpp"

#include <png.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <system_error>

namespace sample {
namespace {

/// A png_image that is freed whatever happens.
struct png_handle {
  png_image png{};

  png_handle() { png.version = PNG_IMAGE_VERSION; }
  ~png_handle() { png_image_free(&png); }
  png_handle(const png_handle&) = delete;
  png_handle& operator=(const png_handle&) = delete;

  [[noreturn]] void fail(const char* doing) const {
    throw std::runtime_error(std::string{doing} + " PNG: " + png.message);
  }
};

void check(const image& picture) {
  const image expected = make_image(picture.width, picture.height);
  if (picture.rgb.size() != expected.rgb.size()) {
    throw std::invalid_argument("picture: its size is not 3 * width * height");
  }
}

/// Means along one line of `count` pixels that lie `stride` bytes apart.
void blur_line(const std::uint8_t* in, std::uint8_t* out, std::size_t count, std::size_t stride,
               std::size_t radius) {
  std::uint64_t sum = 0;
  std::size_t inside = 0;
  const auto enter = [&](std::size_t i) { sum += in[i * stride], ++inside; };
  for (std::size_t i = 0; i < std::min(radius, count); ++i) enter(i);
  for (std::size_t i = 0; i < count; ++i) {
    if (radius < count - i) enter(i + radius);
    if (i > radius) sum -= in[(i - radius - 1) * stride], --inside;
    out[i * stride] = static_cast<std::uint8_t>((sum + inside / 2) / inside);
  }
}

}  // namespace

image make_image(int width, int height) {
  if (width <= 0 || height <= 0 || std::int64_t{width} * height > pixels_max) {
    throw std::invalid_argument("picture of " + std::to_string(width) + " x " +
                                std::to_string(height) + " pixels");
  }
  const std::size_t pixels = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  return {width, height, std::vector<std::uint8_t>(pixels * 3)};
}

std::vector<std::byte> encode_png(const image& picture) {
  check(picture);
  png_handle handle;
  handle.png.width = static_cast<png_uint_32>(picture.width);
  handle.png.height = static_cast<png_uint_32>(picture.height);
  handle.png.format = PNG_FORMAT_RGB;
  handle.png.flags = PNG_IMAGE_FLAG_FAST;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(handle.png);
  std::vector<std::byte> file(size);
  if (png_image_write_to_memory(&handle.png, file.data(), &size, 0, picture.rgb.data(), 0,
                                nullptr) == 0) {
    handle.fail("writing");
  }
  file.resize(size);
  return file;
}

image decode_png(std::span<const std::byte> file) {
  // libpng stops reading at the last pixel; a file that ends there was cut off all the same.
  constexpr std::array<unsigned char, 12> end{0,   0,   0,    0,    'I',  'E',
                                              'N', 'D', 0xAE, 0x42, 0x60, 0x82};
  if (file.size() < end.size() ||
      std::memcmp(file.last(end.size()).data(), end.data(), end.size()) != 0) {
    throw std::runtime_error("reading PNG: no whole file");
  }
  png_handle handle;
  if (png_image_begin_read_from_memory(&handle.png, file.data(), file.size()) == 0) {
    handle.fail("reading");
  }
  if (std::uint64_t{handle.png.width} * handle.png.height > std::uint64_t{pixels_max}) {
    throw std::runtime_error("reading PNG: the picture is too large");
  }
  handle.png.format = PNG_FORMAT_RGB;
  image picture =
      make_image(static_cast<int>(handle.png.width), static_cast<int>(handle.png.height));
  const png_color black{0, 0, 0};
  if (png_image_finish_read(&handle.png, &black, picture.rgb.data(), 0, nullptr) == 0) {
    handle.fail("reading");
  }
  return picture;
}

void write_png(const std::filesystem::path& path, const image& picture) {
  const std::vector<std::byte> bytes = encode_png(picture);
  errno = 0;
  std::FILE* file = std::fopen(path.c_str(), "wbe");
  bool good = file != nullptr;
  if (good) good = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  int error = errno;
  if (file != nullptr && std::fclose(file) != 0 && good) {
    good = false;
    error = errno;
  }
  if (!good) throw std::system_error(error, std::generic_category(), "writing " + path.string());
}

image box_blur(const image& picture, int radius) {
  check(picture);
  if (radius < 0) throw std::invalid_argument("blur: negative radius");
  const auto width = static_cast<std::size_t>(picture.width);
  const auto height = static_cast<std::size_t>(picture.height);
  const auto reach = static_cast<std::size_t>(radius);
  image across = picture;
  for (std::size_t y = 0; y < height; ++y) {
    for (std::size_t channel = 0; channel < 3; ++channel) {
      const std::size_t at = y * width * 3 + channel;
      blur_line(&picture.rgb[at], &across.rgb[at], width, 3, reach);
    }
  }
  image out = across;
  for (std::size_t x = 0; x < width * 3; ++x) {
    blur_line(&across.rgb[x], &out.rgb[x], height, width * 3, reach);
  }
  return out;
}

}  // namespace sample
