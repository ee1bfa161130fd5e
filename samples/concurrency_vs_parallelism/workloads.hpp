// SPDX-License-Identifier: MIT
#pragma once
// The tasks of the four workloads. None of them knows whether it runs alone, interleaved or in
// parallel.

#include "../support/hash_file.hpp"
#include "../support/image.hpp"
#include "../support/mandelbrot.hpp"
#include <weft/io/address.hpp>
#include <weft/weft.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace demo {

/// Waiting: a request to a server that takes its time. One task a request.
std::vector<weft::task<std::string>> requests(weft::endpoint server, std::uint32_t count);

/// Computing: a picture. One task a row.
using row = std::vector<std::uint8_t>;
std::vector<weft::task<row>> rows(const sample::view& view);

/// Computing on real files: their hashes. One task a file, of which `open_files` has permits.
std::vector<weft::task<sample::file_hash>> hashes(const std::vector<std::string>& paths,
                                                  weft::semaphore& open_files);

/// Both: a picture fetched, decoded, blurred and made small. One task a picture.
std::vector<weft::task<sample::image>> thumbnails(weft::endpoint server, std::uint32_t count);

/// The regular files below a directory, sorted; what cannot be read is left out.
weft::task<std::vector<std::string>> files_below(std::string directory);

/// The PNG files that the server of the thumbnails has.
std::vector<std::string> pictures(int width, int height);

}  // namespace demo
