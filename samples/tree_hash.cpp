// SPDX-License-Identifier: MIT
// Files of a whole tree, many at a time but never too many: the SHA-256 of each, as sha256sum does.
//
//     tree_hash [--workers N] DIR
//
// Prints byte for byte what
//     find DIR -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum
// prints. Symbolic links are not followed. What cannot be read is named on stderr; the exit code is
// then 1.

#include "support/hash_file.hpp"
#include "support/progress.hpp"
#include "support/sha256.hpp"
#include <weft/io/fs.hpp>
#include <weft/weft.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using sample::file_hash;
using weft::fs::file_type;

/// Files that are open at a time. More would not be faster, and descriptors are scarce.
constexpr std::size_t open_files_max = 64;

/// What the tasks write to. On a pool they do so from several threads, hence the mutex.
struct tree {
  weft::mutex guard;
  std::vector<file_hash> files;  // also what could not be read
  sample::progress progress{"files hashed"};

  weft::task<> add(file_hash one) {
    const auto lock = co_await guard.lock();
    files.push_back(std::move(one));
    progress.advance();
  }
};

weft::task<> hash_into(tree& all, std::string path, weft::semaphore_permit permit) {
  file_hash hashed = co_await sample::hash_file(std::move(path));
  permit.release();
  co_await all.add(std::move(hashed));
}

weft::task<> hash_below(tree& all, const std::string& root) {
  weft::semaphore open_files(open_files_max);
  std::vector<file_hash> unreadable;
  const auto skip = [&](const std::string& path, std::error_code why) {
    unreadable.push_back({path, {}, why});
  };
  // The group's children hash while its body still walks; it ends when all of them have.
  const auto body = [&](weft::task_group& group) -> weft::task<> {
    const auto visit = [&](const weft::fs::directory_entry& entry) -> weft::task<> {
      if (entry.type != file_type::regular) co_return;
      // Waiting here slows the walk down to the pace of the hashing, so memory stays bounded.
      weft::semaphore_permit permit = co_await open_files.acquire();
      group.spawn(hash_into, std::ref(all), entry.path, std::move(permit));
    };
    co_await weft::fs::walk(root, {.on_error = skip}, visit);
  };
  co_await weft::with_task_group(body);
  for (file_hash& directory : unreadable) co_await all.add(std::move(directory));
}

weft::task<> hash_tree(tree& all, std::string root) {
  const weft::fs::file_status what = co_await weft::fs::symlink_status(root);
  if (what.type == file_type::directory) {
    co_await hash_below(all, root);
  } else if (what.type == file_type::regular || what.type == file_type::not_found) {
    file_hash only = co_await sample::hash_file(root);
    co_await all.add(std::move(only));
  }
}

/// Prints the hashes in the order of the paths' bytes; false when something could not be read.
bool print(std::vector<file_hash> files) {
  std::ranges::sort(files, {}, &file_hash::path);
  bool complete = true;
  for (const file_hash& file : files) {
    if (file.error) {
      std::fprintf(stderr, "tree_hash: %s: %s\n", file.path.c_str(), file.error.message().c_str());
      complete = false;
      continue;
    }
    const std::string line = sample::sha256sum_line(file.hex, file.path);
    std::fwrite(line.data(), 1, line.size(), stdout);
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    throw std::runtime_error("cannot write the output");
  }
  return complete;
}

int main(int argc, char** argv) {
  CLI::App app{"The SHA-256 of every regular file below a directory."};
  std::string root;
  weft::run_options options{.workers = 0, .stall_after = 100ms};
  app.add_option("DIR", root, "the directory")->required();
  app.add_option("--workers", options.workers, "1: an event loop, more: a pool, 0: all cores")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  try {
    std::vector<file_hash> files;
    {
      tree all;
      weft::run(options, hash_tree(all, root));
      files = std::move(all.files);
    }
    return print(std::move(files)) ? 0 : 1;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "tree_hash: %s\n", e.what());
    return 1;
  }
}
