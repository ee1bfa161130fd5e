// SPDX-License-Identifier: MIT
// What weft finds on this machine, as text to paste into a bug report.
//
//     doctor
//
// Which kernel weft uses (io_uring, or epoll where that is refused), why, and what helps; then what
// this machine has and allows. A program of yours can print the same: weft::doctor().

#include <weft/weft.hpp>

#include <CLI/CLI.hpp>

#include <cstdio>

int main(int argc, char** argv) {
  CLI::App app{"Says what weft finds on this machine: text for a bug report."};
  CLI11_PARSE(app, argc, argv);

  std::fputs(weft::doctor().c_str(), stdout);
}
