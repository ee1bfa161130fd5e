// SPDX-License-Identifier: MIT
//
// The entry point of every test program. Cases register themselves, so that a test file holds
// nothing but cases; `--help` lists what doctest offers (`-tc="*cancel*"` runs the cases of that
// name). A case that leaves a descriptor open or a coroutine frame alive fails the whole run.
//
// What is skipped is named. With WEFT_KERNEL=uring, where io_uring is refused, that is the whole
// program; it exits with 77, which tells meson so.

#define DOCTEST_CONFIG_IMPLEMENT
#include "support/io_uring_refusal.hpp"
#include "weft/runtime/worker.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string_view>
#include <system_error>

namespace {

struct resources {
  std::ptrdiff_t descriptors;
  std::int64_t frames;

  static resources now() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return {std::distance(begin(all), end(all)), weft::detail::live_frame_bytes()};
  }
  friend bool operator==(const resources&, const resources&) = default;
};

bool something_was_left = false;

struct nothing_is_left : doctest::IReporter {
  explicit nothing_is_left(const doctest::ContextOptions& o) : out(o.cout) {}

  void test_case_start(const doctest::TestCaseData& data) override {
    test_case = &data;
    before = resources::now();
  }
  void test_case_end(const doctest::CurrentTestCaseStats&) override {
    const resources after = resources::now();
    if (after == before) return;
    something_was_left = true;
    *out << test_case->m_file.c_str() << ":" << test_case->m_line << ": LEFT BEHIND by \""
         << test_case->m_name << "\": " << after.descriptors - before.descriptors
         << " descriptors, " << after.frames - before.frames << " bytes of frames\n";
  }

  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData& data) override {
    if (!data.m_skip) return;  // it was not asked for
    *out << data.m_file.c_str() << ":" << data.m_line << ": SKIPPED: \"" << data.m_name << "\"\n";
  }

  std::ostream* out;
  const doctest::TestCaseData* test_case = nullptr;
  resources before{};
};

}  // namespace

DOCTEST_REGISTER_LISTENER("nothing_is_left", 1, nothing_is_left);

int main(int argc, char** argv) {
  const char* const kernel = std::getenv("WEFT_KERNEL");
  if (kernel != nullptr && std::string_view(kernel) == "uring") {
    if (const int error = weft::tests::io_uring_refusal(); error != 0) {
      std::printf("skipped: io_uring_setup: %s\n", std::generic_category().message(error).c_str());
      return 77;
    }
  }
  doctest::Context context(argc, argv);
  const int failed = context.run();
  return failed != 0 || something_was_left ? 1 : 0;
}
