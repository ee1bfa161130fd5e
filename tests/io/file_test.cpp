// SPDX-License-Identifier: MIT
#include "weft/io/file.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "support/temporary_directory.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace file_test {

using namespace weft;
using namespace weft::tests;

TEST_SUITE("io/file") {
  TEST_CASE("what is written at a position is read there") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      run(options, [](std::filesystem::path path) -> task<> {
        file f = co_await file::open(path, open_mode::read | open_mode::write | open_mode::create);
        co_await f.write_all_at(0, "hello world");
        const std::size_t n = co_await f.write_at(6, "there");
        CHECK(n == 5);
        std::array<char, 64> buf{};
        std::size_t got = co_await f.read_at(0, buf);
        CHECK(std::string_view(buf.data(), got) == "hello there");
        got = co_await f.read_at(6, buf);
        CHECK(std::string_view(buf.data(), got) == "there");
        got = co_await f.read_at(11, buf);
        CHECK(got == 0);
        got = co_await f.read_at(1000, buf);
        CHECK(got == 0);
        char exact[5];
        co_await f.read_exact_at(0, exact);
        CHECK(std::string_view(exact, 5) == "hello");
        const std::uint64_t size = co_await f.size();
        CHECK(size == 11);
        co_await f.sync();
        co_await f.data_sync();
        co_await f.close();
        CHECK(read_file(path) == "hello there");
      }(dir / "file"));
    });
  }

  TEST_CASE("positions beyond 4 GiB are exact") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      run(options, [](std::filesystem::path path) -> task<> {
        constexpr std::uint64_t far = (5ull << 30) + 3;
        file f = co_await file::open(path, open_mode::read | open_mode::write | open_mode::create);
        co_await f.write_all_at(far, "far away");
        co_await f.write_all_at(far % (1ull << 32), "near");
        const std::uint64_t size = co_await f.size();
        CHECK(size == far + 8);
        std::string buf(8, '.');
        co_await f.read_exact_at(far, buf);
        CHECK(buf == "far away");
        const caught c = co_await catching(f.read_exact_at(far + 4, buf));
        CHECK(c.was_io_error);
        CHECK(c.code == std::errc::no_message_available);
        CHECK(c.transferred == 4);
      }(dir / "sparse"));
    });
  }

  TEST_CASE("a position that is no file offset is refused") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        file f = co_await file::open("/dev/null", open_mode::read | open_mode::write);
        char buf[4];
        for (const std::uint64_t offset : {~0ull, 1ull << 63}) {
          const caught r = co_await catching(f.read_at(offset, buf));
          CHECK(r.code == std::errc::invalid_argument);
          const caught w = co_await catching(f.write_at(offset, "x"));
          CHECK(w.code == std::errc::invalid_argument);
        }
        const caught empty = co_await catching(f.read_at(0, std::span<char>()));
        CHECK(empty.code == std::errc::invalid_argument);
        const std::size_t none = co_await f.write_at(0, "");
        CHECK(none == 0);
      }());
    });
  }

  TEST_CASE("open modes mean what they say") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      run(options, [](std::filesystem::path path) -> task<> {
        using enum open_mode;
        caught c = co_await catching(file::open(path));
        CHECK(c.code == std::errc::no_such_file_or_directory);
        CHECK(c.what.find('"' + path.string() + '"') != std::string::npos);
        {
          file made = co_await file::open(path, write | create | exclusive, 0600);
          co_await made.write_all_at(0, "0123456789");
          char buf[4];
          c = co_await catching(made.read_at(0, buf));
          CHECK(c.code == std::errc::bad_file_descriptor);
        }
        CHECK((std::filesystem::status(path).permissions() == std::filesystem::perms{0600}));
        c = co_await catching(file::open(path, write | create | exclusive));
        CHECK(c.code == std::errc::file_exists);
        {
          file appended = co_await file::open(path.string(), append);
          co_await appended.write_all_at(0, "+");
        }
        CHECK(read_file(path) == "0123456789+");
        {
          const file emptied =
              co_await file::open(std::string_view(path.native()), write | truncate);
        }
        CHECK(read_file(path) == "");
        std::vector<open_mode> senseless{open_mode{}, create, read | truncate, write | exclusive};
        for (const open_mode m : senseless) {
          c = co_await catching(file::open(path, m));
          CHECK(c.code == std::errc::invalid_argument);
        }
        c = co_await catching(file::open(std::string("/dev/null\0x", 11)));
        CHECK(c.code == std::errc::invalid_argument);
        c = co_await catching(file::open(path.parent_path(), write));
        CHECK(c.code == std::errc::is_a_directory);
      }(dir / "modes"));
    });
  }

  TEST_CASE("a path may be a temporary: the call keeps a copy") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      run(options, [](std::filesystem::path path) -> task<> {
        std::string name = path.string();
        task<file> opening = file::open(name.c_str(), open_mode::write | open_mode::create);
        name.assign(name.size(), '#');
        const file f = co_await std::move(opening);
        CHECK(std::filesystem::exists(path));
      }(dir / "a rather long name so that no small buffer holds it"));
    });
  }

  TEST_CASE("read_all gives everything, of files that know their size and of others") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      run(options, [](std::filesystem::path path) -> task<> {
        for (const unsigned size : {0u, 1u, 16384u, 16385u, 3000000u}) {
          const std::string text(size, 'x');
          write_file(path, text);
          file f = co_await file::open(path);
          const std::string all = co_await f.read_all();
          CHECK(all == text);
        }
        file f = co_await file::open(path);
        const caught c = co_await catching(f.read_all(2999999));
        CHECK(c.code == std::errc::file_too_large);
        const std::string fits = co_await f.read_all(3000000);
        CHECK(fits.size() == 3000000);
        file status = co_await file::open("/proc/self/status");
        const std::string text = co_await status.read_all();
        CHECK(text.find("Name:") == 0);
        const caught proc = co_await catching(status.read_all(10));
        CHECK(proc.code == std::errc::file_too_large);
      }(dir / "all"));
    });
  }

  TEST_CASE("many tasks read one file at once") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      run(options, [](std::filesystem::path path) -> task<> {
        std::string text;
        for (unsigned i = 0; i < 100000; ++i) text += static_cast<char>('a' + i % 26);
        write_file(path, text);
        file f = co_await file::open(path);
        auto part = [&](std::size_t at) -> task<bool> {
          char buf[97];
          co_await f.read_exact_at(at, buf);
          co_return std::string_view(buf, 97) == std::string_view(text).substr(at, 97);
        };
        std::vector<task<bool>> parts;
        for (std::size_t at = 0; at + 97 < text.size(); at += 97) parts.push_back(part(at));
        const std::vector<bool> all = co_await when_all(std::move(parts));
        bool good = true;
        for (const bool ok : all) good = good && ok;
        CHECK(good);
      }(dir / "shared"));
    });
  }

  TEST_CASE("a closed, moved-from or empty file refuses everything with bad_file_descriptor") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        file f = co_await file::open("/dev/null", open_mode::read | open_mode::write);
        file moved = std::move(f);
        co_await moved.close();
        co_await moved.close();
        file empty;
        char buf[4];
        for (file* x : {&f, &moved, &empty}) {
          CHECK_FALSE(x->is_open());
          std::vector<caught> all;
          all.push_back(co_await catching(x->read_at(0, buf)));
          all.push_back(co_await catching(x->write_at(0, "x")));
          all.push_back(co_await catching(x->write_at(0, "")));
          all.push_back(co_await catching(x->sync()));
          all.push_back(co_await catching(x->size()));
          all.push_back(co_await catching(x->read_all()));
          all.push_back(co_await catching(x->read_exact_at(0, buf)));
          all.push_back(co_await catching(x->write_all_at(0, "x")));
          for (const caught& c : all) CHECK(c.code == std::errc::bad_file_descriptor);
        }
      }());
    });
  }

  TEST_CASE("a full disk is an error that says how much was written") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      run(options, [](std::filesystem::path path) -> task<> {
        file f = co_await file::open("/dev/full", open_mode::write);
        const caught c = co_await catching(f.write_all_at(0, "x"));
        CHECK(c.was_io_error);
        CHECK(c.code == std::errc::no_space_on_device);
        CHECK(c.transferred == 0);
        file directory = co_await file::open(path);
        char buf[4];
        const caught r = co_await catching(directory.read_at(0, buf));
        CHECK(r.code == std::errc::is_a_directory);
      }(dir.path()));
    });
  }

  TEST_CASE("an opened file that raced with a cancel is delivered, never leaked") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        constexpr int rounds = 300;
        int delivered = 0;
        int refused = 0;
        for (int round = 0; round < rounds; ++round) {
          auto open = [&]() -> task<> {
            result<file> r = co_await as_result(file::open("/dev/null"));
            if (r)
              ++delivered;
            else if (r.error() == std::errc::operation_canceled)
              ++refused;
          };
          auto body = [&](task_group& group) -> task<> {
            group.spawn(open);
            for (int i = 0; i < round % 5; ++i) co_await yield();
            group.cancel();
          };
          co_await with_task_group(body);
        }
        CHECK(delivered + refused == rounds);
      }());
    });
  }

  TEST_CASE("close waits for reads of other tasks") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      run(options, [](std::filesystem::path path) -> task<> {
        write_file(path, std::string(1 << 20, 'x'));
        for (int round = 0; round < 20; ++round) {
          file f = co_await file::open(path);
          std::atomic<int> read = 0;
          std::atomic<int> refused = 0;
          auto reader = [&]() -> task<> {
            std::vector<char> buf(1 << 20);
            const result<std::size_t> r = co_await as_result(f.read_at(0, buf));
            if (r && *r == buf.size())
              ++read;
            else if (r.error() == std::errc::bad_file_descriptor)
              ++refused;
          };
          auto body = [&](task_group& group) -> task<> {
            std::vector<join_handle<void>> readers;
            for (int i = 0; i < 8; ++i) readers.push_back(group.spawn(reader));
            for (int i = 0; i < round % 3; ++i) co_await yield();
            co_await f.close();
            for (const auto& r : readers) co_await r;
          };
          co_await with_task_group(body);
          CHECK(read + refused == 8);
        }
      }(dir / "file"));
    });
  }
}

}  // namespace file_test
