// SPDX-License-Identifier: MIT
// What waiting and computing gain from one thread and from many: four workloads, each run in three ways.
//
//     concurrency_vs_parallelism [--workers N] [--dir DIR] [--out DIR] [--quick]
//
// Concurrency is dealing with many things at once, parallelism is doing many things at once. The same
// tasks run one after the other, all at once on an event loop (one thread), and all at once on a pool
// (a thread for each core). The results are compared, the times are printed, and who ran when is
// written as timeline.svg (for a browser) and timeline.json (for ui.perfetto.dev).
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
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

using namespace std::chrono_literals;

struct sizes {
  std::uint32_t requests = 200;
  sample::view picture{.width = 1280, .height = 720};
  std::uint32_t pictures = 100;
  int picture_width = 640;
  int picture_height = 480;
};

constexpr sizes quick{20, {.width = 160, .height = 90}, 8, 160, 120};

constexpr auto server_delay = 20ms;

/// Files that are open at a time.
constexpr std::size_t open_files_max = 64;

int main(int argc, char** argv) {
  CLI::App app{"One after the other, on an event loop, on a thread pool: the same tasks three ways."};
  unsigned workers = std::max(weft::available_cores(), 2u);
  std::string directory = "/usr/include";
  std::filesystem::path out = "demo-output";
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
    demo::three_ways ways(workers);
    sample::time_table table({"one after the other", "event loop", ways.pool_name()});
    std::vector<demo::lesson> lessons;
    const auto teach = [&](demo::lesson about, auto make) {
      std::printf("%-10s %s ...\n", about.name.c_str(), about.what.c_str());
      std::fflush(stdout);
      table.add(about.name, ways.measure(about, make));
      lessons.push_back(std::move(about));
    };

    // Reads every file once, so that all three ways find them in memory.
    weft::semaphore open_files(open_files_max);
    const std::vector<std::string> paths = weft::run(demo::files_below(directory));
    weft::run({.workers = workers}, demo::all_at_once(demo::hashes(paths, open_files)));

    {
      demo::slow_server server({"to be or not to be", "that is the question"}, server_delay);
      teach(
          {"waiting", std::to_string(size.requests) + " requests to a server that takes 20 ms each",
           "One thread is enough: nobody computes, so more of them have nothing to do.",
           {"The thread sleeps nearly all the time, and yet everybody waits their turn.",
            "All requests are sent at once; 20 ms later all answers come in.",
            "The same: threads to compute on are of no use to who waits."}},
          [&] { return demo::requests(server.address(), size.requests); });
    }
    teach({"computing",
           "a picture of " + std::to_string(size.picture.width) + " x " +
               std::to_string(size.picture.height) + " pixels, a task a row",
           "The loop cannot help, because nobody ever waits. The pool divides the work.",
           {"One row after the other: the thread is always busy.",
            "The same, since a task that never waits never lets another one go on.",
            "All threads are busy at the same time."}},
          [&] { return demo::rows(size.picture); });
    teach({"files", "SHA-256 of " + std::to_string(paths.size()) + " files in " + directory,
           "Files that lie in memory hardly make anyone wait: this is computing, too.",
           {"Read, hash, read, hash: the thread is always busy.",
            "Up to 64 files at a time, interleaved on one busy thread.",
            "Files hashed at the same time on all threads."}},
          [&] { return demo::hashes(paths, open_files); });
    {
      demo::slow_server server(demo::pictures(size.picture_width, size.picture_height),
                               server_delay);
      teach({"both", std::to_string(size.pictures) + " pictures fetched from it, decoded, blurred",
             "The loop hides the waiting behind the computing; the pool divides the computing too.",
             {"Gaps of waiting between short stretches of computing.",
              "The gaps are gone: while one picture is on its way another one is blurred.",
              "No gaps, and several pictures at the same time."}},
            [&] { return demo::thumbnails(server.address(), size.pictures); });
    }

    std::printf("\n%s\n", table.text().c_str());
    for (const demo::lesson& about : lessons) {
      std::printf("%-10s %s\n", about.name.c_str(), about.conclusion.c_str());
    }
    if (weft::available_cores() < workers) {
      std::printf("This machine gives the pool %u of the %u cores that it has threads for.\n",
                  weft::available_cores(), workers);
    }

    std::filesystem::create_directories(out);
    ways.recording().write_svg(out / "timeline.svg");
    ways.recording().write_perfetto(out / "timeline.json");
    std::printf("\nAll ways gave the same results. Who ran when:\n  %s  (open it in a browser)\n"
                "  %s  (open it in ui.perfetto.dev)\n",
                (out / "timeline.svg").c_str(), (out / "timeline.json").c_str());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "concurrency_vs_parallelism: %s\n", e.what());
    return 1;
  }
}
