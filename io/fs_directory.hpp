// SPDX-License-Identifier: MIT
#pragma once
// The names in a directory, and below it. Linux has no ring operation for reading directories: that
// part runs on a helper thread, as blocking() does it; opening and looking are submissions.

#include "weft/io/descriptor.hpp"
#include "weft/io/fs_status.hpp"
#include "weft/io/function_ref.hpp"
#include "weft/runtime/task_group.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft::fs {

/// A name in a directory.
struct directory_entry {
  std::string path;                  // the directory's path as it was given, a slash, and the name
  file_type type = file_type::none;  // a symbolic link's own

  /// The last part of the path; any bytes but zero and slash.
  [[nodiscard]] std::string_view name() const noexcept {
    return std::string_view(path).substr(path.rfind('/') + 1);
  }
};

/// How walk() treats what it cannot read.
struct walk_options {
  /// Told which directory could not be read, and why; the walk goes on without it. When there is
  /// none the walk ends with the error.
  function_ref<void(const std::string& path, std::error_code why)> on_error{};
};

/// The entries of a directory but "." and "..", in the order of the file system.
///
/// Errors:   system_error that names the path: ENOENT, ENOTDIR, EACCES, EMFILE; cancelled.
/// Cost:     two frames, one SQE and about one thread switch for 1000 entries; on file systems that
///           do not tell types one SQE an entry.
/// Source:   getdents64(2).
task<std::vector<directory_entry>> directory_entries(path_view path);

namespace detail {

/// Goes through a tree one directory at a time; holds the paths of directories that are yet to
/// come.
class walker {
public:
  walker(std::string root, walk_options options);

  /// Replaces `entries` by those of the next directory. False when there is none left.
  task<bool> next(std::vector<directory_entry>& entries);

private:
  task<std::error_code> read(const std::string& path, std::vector<directory_entry>& entries);

  std::vector<std::string> pending_;  // the next one is the last
  walk_options options_;
  weft::detail::descriptor root_;  // closed until the root has been opened
  std::size_t prefix_;             // of every path below the root: the root's and a slash
};

template <class Visit>
task<> walk_with(std::string root, walk_options options, Visit visit) {
  walker tree(std::move(root), options);
  std::vector<directory_entry> entries;
  for (;;) {
    task<bool> step = tree.next(entries);
    const bool more = co_await std::move(step);
    if (!more) co_return;
    for (const directory_entry& entry : entries) {
      if constexpr (std::is_void_v<std::invoke_result_t<Visit&, const directory_entry&>>) {
        visit(entry);
      } else {
        task<> visiting = visit(entry);
        co_await std::move(visiting);
      }
    }
  }
}

}  // namespace detail

/// Visits everything below a directory: each entry of a directory, then what is below them.
///
/// Shape:    visit is a callable taking `const directory_entry&`, plain or a task<> that is awaited
///           before the walk goes on; a named lambda, or a temporary one whose captures are
///           trivially destructible. Symbolic links are visited and not followed; the root itself
///           is followed and not visited.
/// Errors:   of a directory that cannot be read, unless there is `on_error`; what visit throws;
///           cancelled.
/// Thread:   visits come one after the other.
/// Lifetime: what visit and on_error refer to outlives the co_await.
/// Cost:     that of directory_entries() for each directory; memory for one directory's entries and
///           for the paths of directories to come. Depth costs no stack.
template <class Visit>
[[nodiscard]] task<> walk(path_view root, walk_options options, Visit&& visit) {
  static_assert(weft::detail::safe_as_temporary<Visit>,
                "weft: name the lambda first (auto visit = [...]; co_await fs::walk(path, visit)): "
                "g++ 12 destroys the captures of a temporary lambda twice in a co_await");
  return detail::walk_with<std::decay_t<Visit>>(root.string(), options, std::forward<Visit>(visit));
}

/// The same, ended by the first directory that cannot be read.
template <class Visit>
[[nodiscard]] task<> walk(path_view root, Visit&& visit) {
  return walk(root, walk_options{}, std::forward<Visit>(visit));
}

}  // namespace weft::fs
