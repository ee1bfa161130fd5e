// SPDX-License-Identifier: MIT
#include "weft/io/fs_status.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "support/temporary_directory.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>

namespace fs_status_test {

using namespace weft;
using namespace weft::tests;

TEST_SUITE("io/fs_status") {
  TEST_CASE("status tells what stat tells") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      write_file(dir / "file", "twelve bytes");
      std::filesystem::permissions(dir / "file", std::filesystem::perms{0640});
      std::filesystem::create_hard_link(dir / "file", dir / "second");
      run(options, [](std::filesystem::path path) -> task<> {
        const fs::file_status s = co_await fs::status(path);
        struct ::stat expected{};
        CHECK(::stat(path.c_str(), &expected) == 0);
        CHECK((s.type == fs::file_type::regular));
        CHECK(s.size == 12);
        CHECK(s.permissions == 0640);
        CHECK(s.links == 2);
        CHECK(s.inode == expected.st_ino);
        CHECK(s.device == expected.st_dev);
        CHECK(s.owner == expected.st_uid);
        CHECK(s.group == expected.st_gid);
        const auto ns = s.modified.time_since_epoch().count();
        CHECK(ns == expected.st_mtim.tv_sec * 1'000'000'000 + expected.st_mtim.tv_nsec);
      }(dir / "file"));
    });
  }

  TEST_CASE("every type of file is told apart") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      std::filesystem::create_symlink("nowhere", dir / "dangling");
      std::filesystem::create_symlink(".", dir / "link");
      REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
      run(options, [](std::filesystem::path path) -> task<> {
        using enum fs::file_type;
        fs::file_status s = co_await fs::status(path);
        CHECK((s.type == directory));
        s = co_await fs::status(path / "link");
        CHECK((s.type == directory));
        s = co_await fs::symlink_status(path / "link");
        CHECK((s.type == symlink));
        s = co_await fs::status(path / "dangling");
        CHECK((s.type == not_found));
        s = co_await fs::symlink_status(path / "dangling");
        CHECK((s.type == symlink));
        s = co_await fs::status(path / "fifo");
        CHECK((s.type == fifo));
        s = co_await fs::status("/dev/null");
        CHECK((s.type == character));
        s = co_await fs::status(path / "fifo" / "below");
        CHECK((s.type == not_found));
        bool there = co_await fs::exists(path / "link");
        CHECK(there);
        there = co_await fs::exists(path / "dangling");
        CHECK_FALSE(there);
      }(dir.path()));
    });
  }

  TEST_CASE("errors name the path") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      std::filesystem::create_symlink("loop", dir / "loop");
      run(options, [](std::filesystem::path path) -> task<> {
        caught c = co_await catching(fs::status(path / "loop"));
        CHECK(c.code == std::errc::too_many_symbolic_link_levels);
        CHECK(c.what.find((path / "loop").string()) != std::string::npos);
        c = co_await catching(fs::status(std::string("a\0b", 3)));
        CHECK(c.code == std::errc::invalid_argument);
        c = co_await catching(fs::status(std::string(5000, 'a')));
        CHECK(c.code == std::errc::filename_too_long);
      }(dir.path()));
    });
  }

  TEST_CASE("remove takes files, links and empty directories, and tells whether there was one") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      write_file(dir / "file", "");
      std::filesystem::create_directories(dir / "full" / "inner");
      std::filesystem::create_symlink("full", dir / "link");
      run(options, [](std::filesystem::path path) -> task<> {
        bool removed = co_await fs::remove(path / "file");
        CHECK(removed);
        removed = co_await fs::remove(path / "file");
        CHECK_FALSE(removed);
        removed = co_await fs::remove(path / "link");
        CHECK(removed);
        CHECK(std::filesystem::exists(path / "full"));
        const caught c = co_await catching(fs::remove(path / "full"));
        CHECK(c.code == std::errc::directory_not_empty);
        removed = co_await fs::remove(path / "full" / "inner");
        CHECK(removed);
        CHECK_FALSE(std::filesystem::exists(path / "full" / "inner"));
      }(dir.path()));
    });
  }

  TEST_CASE("rename replaces, create_directory tells whether it made one") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      write_file(dir / "a", "a");
      write_file(dir / "b", "b");
      run(options, [](std::filesystem::path path) -> task<> {
        co_await fs::rename(path / "a", path / "b");
        CHECK(read_file(path / "b") == "a");
        CHECK_FALSE(std::filesystem::exists(path / "a"));
        caught c = co_await catching(fs::rename(path / "a", path / "c"));
        CHECK(c.code == std::errc::no_such_file_or_directory);
        CHECK(c.what.find((path / "c").string()) != std::string::npos);
        bool made = co_await fs::create_directory(path / "made", 0700);
        CHECK(made);
        CHECK(
            (std::filesystem::status(path / "made").permissions() == std::filesystem::perms{0700}));
        made = co_await fs::create_directory(path / "made");
        CHECK_FALSE(made);
        c = co_await catching(fs::create_directory(path / "b"));
        CHECK(c.code == std::errc::file_exists);
        c = co_await catching(fs::create_directory(path / "no" / "such"));
        CHECK(c.code == std::errc::no_such_file_or_directory);
      }(dir.path()));
    });
  }

  TEST_CASE("a time that nanoseconds cannot count to is the last one that they can") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      write_file(dir / "far", "");
      const timespec far{.tv_sec = 20'000'000'000, .tv_nsec = 0};
      const timespec times[2]{far, far};
      REQUIRE(utimensat(AT_FDCWD, (dir / "far").c_str(), times, 0) == 0);
      struct stat kept{};  // the file system may know a nearer end of time
      REQUIRE(::stat((dir / "far").c_str(), &kept) == 0);
      const fs::file_status found = run(options, fs::status(dir / "far"));
      const auto seconds = found.modified.time_since_epoch() / std::chrono::seconds(1);
      CHECK(seconds == std::min<std::int64_t>(kept.st_mtime, 9'223'372'036));
    });
  }
}

}  // namespace fs_status_test
