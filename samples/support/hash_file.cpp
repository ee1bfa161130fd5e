// SPDX-License-Identifier: MIT

#include "hash_file.hpp"

#include "sha256.hpp"
#include <weft/io/file.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace sample {

weft::task<file_hash> hash_file(std::string path) {
  constexpr std::size_t piece = 64 * 1024;
  file_hash done{std::move(path), {}, {}};
  try {
    weft::file file = co_await weft::file::open(done.path);
    const auto buffer = std::make_unique_for_overwrite<std::byte[]>(piece);
    sha256 hash;
    std::uint64_t offset = 0;
    while (const std::size_t n = co_await file.read_at(offset, {buffer.get(), piece})) {
      hash.update({buffer.get(), n});
      offset += n;
    }
    done.hex = hash.hex();
  } catch (const std::system_error& e) {
    done.error = e.code();
  }
  co_return done;
}

}  // namespace sample
