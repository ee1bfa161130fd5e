// SPDX-License-Identifier: MIT
//
// The entry point of every test program. Cases register themselves, so that a test file holds
// nothing but cases; `--help` lists what doctest offers (`-tc="*cancel*"` runs the cases of that
// name).

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
