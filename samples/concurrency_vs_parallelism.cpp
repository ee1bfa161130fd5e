// SPDX-License-Identifier: MIT
// What waiting and computing gain from one thread and from many: four workloads, three ways.
//
//     concurrency_vs_parallelism [--workers N] [--dir DIR] [--out DIR] [--quick]
//
// Concurrency is dealing with many things at once, parallelism is doing many things at once. The
// same tasks run one after the other, all at once on an event loop (one thread), and all at once on
// a pool (a thread for each core). The results are compared, the times are printed, and who ran
// when is written as timeline.svg (for a browser) and timeline.json (for ui.perfetto.dev).
//
// Read on in concurrency_vs_parallelism/: three_ways.hpp, workloads.cpp, slow_server.cpp.

#include "concurrency_vs_parallelism/slow_server.hpp"
#include "concurrency_vs_parallelism/three_ways.hpp"
#include "concurrency_vs_parallelism/workloads.hpp"
#include "support/table.hpp"
#include <weft/weft.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

struct sizes {
  std::uint32_t requests = 200;
  sample::view picture{.width = 1280, .height = 720};
  std::uint32_t thumbnails = 100;
  int fetched_width = 640;
  int fetched_height = 480;
};

const sizes quick{20, {.width = 160, .height = 90}, 8, 160, 120};

constexpr std::chrono::milliseconds server_delay = 20ms;

/// Files that are open at a time.
constexpr std::size_t open_files_max = 64;

class course {
public:
  explicit course(unsigned workers)
      : ways_{workers}, table_{{"one after the other", "event loop", ways_.pool_name()}} {}

  template <class Make>
  void teach(const demo::lesson& about, Make make) {
    std::printf("%-10s %s ...\n", about.name.c_str(), about.what.c_str());
    std::fflush(stdout);
    table_.add(about.name, ways_.measure(about, std::move(make)));
    conclusions_.push_back(about.name + std::string(11 - about.name.size(), ' ') +
                           about.conclusion);
  }

  void print() const {
    std::printf("\n%s\n", table_.text().c_str());
    for (const std::string& line : conclusions_) std::printf("%s\n", line.c_str());
    std::printf("\nAll three ways gave the same results.\n");
  }

  void write_timeline(const std::filesystem::path& directory) const {
    std::filesystem::create_directories(directory);
    const auto picture = directory / "timeline.svg";
    const auto trace = directory / "timeline.json";
    ways_.recording().write_svg(picture);
    ways_.recording().write_perfetto(trace);
    std::printf("Who ran when:\n  %s  (open it in a browser)\n  %s  (open it in ui.perfetto.dev)\n",
                picture.c_str(), trace.c_str());
  }

private:
  demo::three_ways ways_;
  sample::time_table table_;
  std::vector<std::string> conclusions_;
};

void teach_waiting(course& c, const sizes& size) {
  const demo::slow_server server({"to be or not to be", "that is the question"}, server_delay);
  c.teach({"waiting",
           std::to_string(size.requests) + " requests to a server that takes 20 ms each",
           "One thread is enough: nobody computes, so more threads have nothing to do.",
           {"The thread sleeps nearly all the time, and yet everybody waits for their turn.",
            "All requests go out at once; 20 ms later all answers come in.",
            "The same: who waits has no use for a second thread."}},
          [&] { return demo::requests(server.address(), size.requests); });
}

void teach_computing(course& c, const sizes& size) {
  c.teach({"computing",
           "a picture of " + std::to_string(size.picture.width) + " x " +
               std::to_string(size.picture.height) + " pixels, a task a row",
           "The loop cannot help, because nobody ever waits. The pool divides the work.",
           {"One row after the other: the thread is always busy.",
            "The same: a task that never waits never lets another one go on.",
            "All threads are busy at the same time."}},
          [&] { return demo::rows(size.picture); });
}

void teach_files(course& c, const std::string& directory, const std::vector<std::string>& paths,
                 unsigned workers) {
  weft::semaphore open_files(open_files_max);
  // Reads every file once, so that all three ways find them in memory.
  weft::run({.workers = workers, .stall_after = 100ms},
            demo::all_at_once(demo::hashes(paths, open_files)));
  c.teach({"files",
           "SHA-256 of " + std::to_string(paths.size()) + " files in " + directory,
           "Files that lie in memory hardly make anyone wait: this is computing, too.",
           {"Read, hash, read, hash: the thread is always busy.",
            "Up to 64 files at a time, interleaved on one busy thread.",
            "Files are hashed on all threads at the same time."}},
          [&] { return demo::hashes(paths, open_files); });
}

void teach_both(course& c, const sizes& size) {
  const demo::slow_server server(demo::pictures(size.fetched_width, size.fetched_height),
                                 server_delay);
  c.teach({"both",
           std::to_string(size.thumbnails) + " pictures fetched from such a server, then blurred",
           "The loop hides the waiting behind the computing; the pool divides the computing, too.",
           {"Short stretches of computing between gaps of waiting.",
            "The gaps are gone: while one picture is on its way another one is blurred.",
            "No gaps, and several pictures at the same time."}},
          [&] { return demo::thumbnails(server.address(), size.thumbnails); });
}

int main(int argc, char** argv) {
  CLI::App app{"The same tasks one after the other, on an event loop and on a thread pool."};
  unsigned workers = std::max(weft::available_cores(), 2u);
  std::string directory = "/usr/include";
  std::string out = "demo-output";
  bool is_quick = false;
  app.add_option("--workers", workers, "threads of the pool")
      ->check(CLI::Range(2u, 1024u))
      ->capture_default_str();
  app.add_option("--dir", directory, "whose files are hashed")->capture_default_str();
  app.add_option("--out", out, "where the timeline goes")->capture_default_str();
  app.add_flag("--quick", is_quick, "small workloads: shows that it works, not how fast");
  CLI11_PARSE(app, argc, argv);

  try {
    const sizes size = is_quick ? quick : sizes{};
    const std::vector<std::string> paths =
        weft::run({.stall_after = 100ms}, demo::files_below(directory));
    if (paths.empty()) throw std::runtime_error(directory + ": no file there that can be read");
    course c(workers);
    teach_waiting(c, size);
    teach_computing(c, size);
    teach_files(c, directory, paths, workers);
    teach_both(c, size);
    c.print();
    if (weft::available_cores() < workers) {
      std::printf("The pool had %u threads for %u cores: it cannot be faster than the cores are.\n",
                  workers, weft::available_cores());
    }
    c.write_timeline(out);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "concurrency_vs_parallelism: %s\n", e.what());
    return 1;
  }
}
