// SPDX-License-Identifier: MIT
#pragma once
// The Mandelbrot set, row by row: pure computing, and every row independent of the others.
//
// Rows differ much in cost (those through the set take the longest), which is what a fair division
// among cores has to cope with.

#include <cstdint>
#include <span>

namespace sample {

/// Which part of the complex plane is drawn, and how finely. Pixels are square.
struct view {
  int width = 1920;
  int height = 1080;
  double centre_re = -0.7436438870;
  double centre_im = 0.1318259042;
  double extent_re = 0.0082;  // what the picture is wide
  int max_iterations = 1000;
};

/// The whole set, as it is known.
view whole_set(int width, int height);

/// Computes row `y` into `rgb`, 3 * width bytes. Throws invalid_argument when they do not fit.
void mandelbrot_row(const view& v, int y, std::span<std::uint8_t> rgb);

}  // namespace sample
