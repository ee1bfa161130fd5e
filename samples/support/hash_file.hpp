// SPDX-License-Identifier: MIT
#pragma once
// The SHA-256 of a file as a task: read a piece, hash it, read the next. tree_hash runs one for
// each file of a tree, and the demo runs the same ones in three ways.

#include <weft/runtime/task.hpp>

#include <string>
#include <system_error>

namespace sample {

struct file_hash {
  std::string path;
  std::string hex;        // empty when the file could not be read
  std::error_code error;  // why

  bool operator==(const file_hash&) const = default;
};

/// Errors: that the file cannot be read is a value, since it is no reason to stop with the others.
/// Cost:   one descriptor and 64 KiB while it runs, however large the file.
weft::task<file_hash> hash_file(std::string path);

}  // namespace sample
