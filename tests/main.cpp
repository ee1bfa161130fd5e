// SPDX-License-Identifier: MIT
//
// The entry point of every test program. Cases register themselves, so that a test file holds
// nothing but cases; `--help` lists what doctest offers (`-tc="*cancel*"` runs the cases of that
// name). A case that leaves a descriptor open or a coroutine frame alive fails the whole run.

#define DOCTEST_CONFIG_IMPLEMENT
#include "weft/runtime/worker.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>

namespace {

struct resources {
  std::ptrdiff_t descriptors;
  std::int64_t frames;

  static resources now() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return {std::distance(begin(all), end(all)), weft::detail::live_frames()};
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
         << " descriptors, " << after.frames - before.frames << " frames\n";
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
  void test_case_skipped(const doctest::TestCaseData&) override {}

  std::ostream* out;
  const doctest::TestCaseData* test_case = nullptr;
  resources before{};
};

}  // namespace

DOCTEST_REGISTER_LISTENER("nothing_is_left", 1, nothing_is_left);

int main(int argc, char** argv) {
  doctest::Context context(argc, argv);
  const int failed = context.run();
  return failed != 0 || something_was_left ? 1 : 0;
}
