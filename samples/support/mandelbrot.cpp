// SPDX-License-Identifier: MIT

#include "mandelbrot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <stdexcept>

namespace sample {
namespace {

/// Steps until the orbit of c escapes, with a fraction that makes the bands of equal counts smooth;
/// negative when it does not within the limit.
double escape_time(double c_re, double c_im, int max_iterations) {
  // The two largest parts of the set are known in closed form, and would cost the full limit.
  const double from_cusp = c_re - 0.25;
  const double q = from_cusp * from_cusp + c_im * c_im;
  if (q * (q + from_cusp) <= 0.25 * c_im * c_im) return -1;
  if ((c_re + 1) * (c_re + 1) + c_im * c_im <= 0.0625) return -1;

  constexpr double bailout = 256;  // squared radius; the larger, the smoother
  double re = 0;
  double im = 0;
  for (int i = 0; i < max_iterations; ++i) {
    const double re2 = re * re;
    const double im2 = im * im;
    if (re2 + im2 > bailout) return std::max(i + 1 - std::log2(std::log2(re2 + im2) / 2), 0.0);
    im = 2 * re * im + c_im;
    re = re2 - im2 + c_re;
  }
  return -1;
}

/// From deep blue over white and gold to dark and round again, evenly over the logarithm of the
/// time.
std::array<std::uint8_t, 3> colour(double time) {
  if (time < 0) return {0, 0, 0};
  struct stop {
    double at, red, green, blue;
  };
  constexpr std::array<stop, 6> stops{{{0.00, 0, 7, 100},
                                       {0.16, 32, 107, 203},
                                       {0.42, 237, 255, 255},
                                       {0.6425, 255, 170, 0},
                                       {0.8575, 40, 12, 20},
                                       {1.00, 0, 7, 100}}};
  const double position = std::fmod(std::log2(time + 1) * 0.21, 1.0);
  std::size_t next = 1;
  while (next + 1 < stops.size() && stops[next].at <= position) ++next;
  const stop& a = stops[next - 1];
  const stop& b = stops[next];
  const double part = (position - a.at) / (b.at - a.at);
  const double weight = part * part * (3 - 2 * part);
  const auto mix = [&](double x, double y) {
    return static_cast<std::uint8_t>(std::lround(x + (y - x) * weight));
  };
  return {mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue)};
}

}  // namespace

view whole_set(int width, int height) {
  // 2.5 of the imaginary axis have to fit as well.
  const double extent = std::max(3.2, 2.5 * width / std::max(height, 1));
  return {width, height, -0.6, 0, extent, 1000};
}

void mandelbrot_row(const view& v, int y, std::span<std::uint8_t> rgb) {
  if (v.width <= 0 || v.height <= 0 || y < 0 || y >= v.height ||
      rgb.size() != static_cast<std::size_t>(v.width) * 3) {
    throw std::invalid_argument("mandelbrot_row: row or buffer outside the picture");
  }
  const double pixel = v.extent_re / v.width;
  const double c_im = v.centre_im - (y - (v.height - 1) / 2.0) * pixel;
  for (int x = 0; x < v.width; ++x) {
    const double c_re = v.centre_re + (x - (v.width - 1) / 2.0) * pixel;
    const auto pixel_colour = colour(escape_time(c_re, c_im, v.max_iterations));
    std::copy(pixel_colour.begin(), pixel_colour.end(), &rgb[static_cast<std::size_t>(x) * 3]);
  }
}

}  // namespace sample
