// SPDX-License-Identifier: MIT
#include "weft/io/fs_directory.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "support/temporary_directory.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <unistd.h>

namespace fs_directory_test {

using namespace weft;
using namespace weft::tests;

namespace {

std::set<std::string> names_below(const std::filesystem::path& root) {
  std::set<std::string> all;
  for (const auto& e : std::filesystem::recursive_directory_iterator(root))
    all.insert(e.path().string());
  return all;
}

}  // namespace

TEST_SUITE("io/fs_directory") {
  TEST_CASE("odd names and every type come as they are") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      const std::vector<std::string> names{"plain",
                                           " ",
                                           "new\nline",
                                           "tab\tand space",
                                           "\xff\xfe",
                                           "-dash",
                                           "...",
                                           "..x",
                                           "back\\slash",
                                           "quote\"'",
                                           "snow\xe2\x98\x83",
                                           std::string(255, 'n')};
      for (const std::string& name : names) write_file(dir / name, "");
      std::filesystem::create_directory(dir / "directory");
      std::filesystem::create_symlink("directory", dir / "link");
      run(options, [](std::filesystem::path path, std::vector<std::string> expected) -> task<> {
        const std::vector<fs::directory_entry> entries = co_await fs::directory_entries(path);
        std::map<std::string, fs::file_type> found;
        for (const fs::directory_entry& e : entries) {
          CHECK(e.path == (path / e.name()).string());
          found.emplace(e.name(), e.type);
        }
        CHECK(found.size() == entries.size());
        CHECK(found.size() == expected.size() + 2);
        for (const std::string& name : expected) {
          CAPTURE(name);
          CHECK(found.count(name) == 1);
          CHECK((found[name] == fs::file_type::regular));
        }
        CHECK((found["directory"] == fs::file_type::directory));
        CHECK((found["link"] == fs::file_type::symlink));
      }(dir.path(), names));
    });
  }

  TEST_CASE("a directory larger than any buffer is read to its end") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      // About 600 KiB of records.
      constexpr int count = 2000;
      for (int i = 0; i < count; ++i)
        write_file(dir / (std::string(240, 'n') + std::to_string(i)), "");
      const auto entries = run(options, fs::directory_entries(dir.path()));
      std::set<std::string> names;
      for (const auto& e : entries) names.insert(e.path);
      CHECK(entries.size() == count);
      CHECK(names.size() == count);
    });
  }

  TEST_CASE("an empty directory has no entries, and slashes at the end are not doubled") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      CHECK(run(options, fs::directory_entries(dir.path())).empty());
      write_file(dir / "x", "");
      const std::string path = dir.path().string() + '/';
      CHECK(run(options, fs::directory_entries(path)).at(0).path == path + "x");
    });
  }

  TEST_CASE("what is no directory, or not there, is an error that names it") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      write_file(dir / "file", "");
      run(options, [](std::filesystem::path path) -> task<> {
        caught c = co_await catching(fs::directory_entries(path / "file"));
        CHECK(c.code == std::errc::not_a_directory);
        CHECK(c.what.find((path / "file").string()) != std::string::npos);
        c = co_await catching(fs::directory_entries(path / "none"));
        CHECK(c.code == std::errc::no_such_file_or_directory);
        c = co_await catching(fs::directory_entries(""));
        CHECK(c.code == std::errc::no_such_file_or_directory);
        c = co_await catching(fs::directory_entries(std::string("/\0", 2)));
        CHECK(c.code == std::errc::invalid_argument);
      }(dir.path()));
    });
  }

  TEST_CASE("walk visits everything below once, directories before what is in them") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      std::filesystem::create_directories(dir / "a" / "b" / "c");
      std::filesystem::create_directories(dir / "d");
      for (const char* f : {"1", "a/2", "a/b/3", "a/b/c/4", "d/5"}) write_file(dir / f, f);
      std::filesystem::create_directory_symlink("..", dir / "a" / "up");
      std::vector<std::string> visited;
      auto visit = [&](const fs::directory_entry& e) { visited.push_back(e.path); };
      run(options, fs::walk(dir.path(), visit));
      const std::set<std::string> once(visited.begin(), visited.end());
      CHECK(once.size() == visited.size());
      CHECK(once == names_below(dir.path()));
      for (const std::string& path : visited) {
        const std::string parent = std::filesystem::path(path).parent_path().string();
        if (parent == dir.path()) continue;
        CHECK(std::find(visited.begin(), visited.end(), parent) <
              std::find(visited.begin(), visited.end(), path));
      }
    });
  }

  TEST_CASE("a visitor may be a task, and the root a symbolic link") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      std::filesystem::create_directories(dir / "real" / "inner");
      std::filesystem::create_directory_symlink("real", dir / "root");
      run(options, [](std::filesystem::path root) -> task<> {
        int directories = 0;
        auto visit = [&](const fs::directory_entry& e) -> task<> {
          const fs::file_status s = co_await fs::status(e.path);
          directories += s.type == fs::file_type::directory;
        };
        co_await fs::walk(root, visit);
        CHECK(directories == 1);
        co_await fs::walk(root, {}, [&](const fs::directory_entry&) { ++directories; });
        CHECK(directories == 2);
      }(dir / "root"));
    });
  }

  TEST_CASE("a directory that cannot be read is reported, and the walk goes on") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      // Gone by the time the walk comes to it: fails for every user, root too.
      for (const char* d : {"a", "b", "c"}) std::filesystem::create_directory(dir / d);
      for (const char* d : {"a", "b", "c"}) write_file(dir / d / "file", "");
      const std::string bad = (dir / "b").string();
      int files = 0;
      auto visit = [&](const fs::directory_entry& e) {
        if (e.path == bad) std::filesystem::remove_all(bad);
        files += e.type == fs::file_type::regular;
      };
      std::vector<std::string> reported;
      auto on_error = [&](const std::string& path, std::error_code why) {
        CHECK(why == std::errc::no_such_file_or_directory);
        reported.push_back(path);
      };
      run(options, fs::walk(dir.path(), {.on_error = on_error}, visit));
      CHECK(files == 2);
      CHECK(reported == std::vector<std::string>{bad});

      reported.clear();
      run(options, fs::walk(dir / "none", {.on_error = on_error}, visit));
      CHECK(reported == std::vector<std::string>{(dir / "none").string()});

      std::filesystem::create_directory(bad);
      CHECK_THROWS_AS(run(options, fs::walk(dir.path(), visit)), std::system_error);
    });
  }

  TEST_CASE("a directory that becomes a link during the walk is not followed") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      std::filesystem::create_directories(dir / "tree" / "swapped");
      std::filesystem::create_directory(dir / "outside");
      write_file(dir / "outside" / "secret", "");
      int secrets = 0;
      auto visit = [&](const fs::directory_entry& e) {
        secrets += e.name() == "secret";
        if (e.name() != "swapped") return;
        std::filesystem::remove(e.path);
        std::filesystem::create_directory_symlink("../outside", e.path);
      };
      int reported = 0;
      auto on_error = [&](const std::string&, std::error_code) { ++reported; };
      run(options, fs::walk(dir / "tree", {.on_error = on_error}, visit));
      CHECK(secrets == 0);
      CHECK(reported == 1);
    });
  }

  TEST_CASE("a link in the place of a directory further up is not followed either") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      std::filesystem::create_directories(dir / "tree" / "a" / "b");
      std::filesystem::create_directories(dir / "outside" / "b");
      write_file(dir / "outside" / "b" / "secret", "");
      int secrets = 0;
      auto visit = [&](const fs::directory_entry& e) {
        secrets += e.name() == "secret";
        if (e.name() != "b") return;  // a has been read, b is yet to come
        std::filesystem::rename(dir / "tree" / "a", dir / "moved");
        std::filesystem::create_directory_symlink("../outside", dir / "tree" / "a");
      };
      int reported = 0;
      auto on_error = [&](const std::string&, std::error_code) { ++reported; };
      run(options, fs::walk(dir / "tree", {.on_error = on_error}, visit));
      CHECK(secrets == 0);
      CHECK(reported == 1);
    });
  }

  TEST_CASE("what a visitor throws ends the walk") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      write_file(dir / "file", "");
      auto visit = [](const fs::directory_entry&) { throw 42; };
      CHECK_THROWS_AS(run(options, fs::walk(dir.path(), visit)), int);
    });
  }

  TEST_CASE("a deep tree takes no stack") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      std::string path = dir.path().string();
      int depth = 0;
      for (; path.size() < 4000; ++depth) {  // about as long as a path can be
        path += "/a name";
        std::filesystem::create_directory(path);
      }
      int seen = 0;
      auto visit = [&](const fs::directory_entry&) { ++seen; };
      run(options, fs::walk(dir.path(), visit));
      CHECK(seen == depth);
    });
  }
}

}  // namespace fs_directory_test
