// SPDX-License-Identifier: MIT
#pragma once
// Pictures as the samples use them: 8-bit RGB in one vector, read and written as PNG, blurred.
//
// Plain functions without coroutines: what a task computes between two awaits. Each call works on
// its arguments alone, so any number of them may run at once.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace sample {

struct image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;  // rows from top to bottom, 3 * width bytes each

  bool operator==(const image&) const = default;
};

/// A black picture. Throws invalid_argument unless both sides are positive and within pixels_max.
image make_image(int width, int height);

/// No picture is larger, so that a small hostile file cannot ask for all memory.
inline constexpr std::int64_t pixels_max = std::int64_t{1} << 26;

/// The bytes of a PNG file. Throws runtime_error, or invalid_argument when `picture` is
/// inconsistent.
std::vector<std::byte> encode_png(const image& picture);

/// The picture in the bytes of a PNG file of any kind; transparency is laid on black. Throws
/// runtime_error when the bytes are not a whole PNG file or the picture is too large.
image decode_png(std::span<const std::byte> file);

/// Throws system_error that names `path`.
void write_png(const std::filesystem::path& path, const image& picture);

/// Every pixel replaced by the mean of the square of 2 * radius + 1 pixels around it, as far as
/// that lies in the picture. The time does not depend on the radius. Throws invalid_argument when
/// it is negative.
image box_blur(const image& picture, int radius);

}  // namespace sample
