// SPDX-License-Identifier: MIT
#pragma once

// The version, and what may differ between two installed builds of weft. Every translation unit of
// a program sees the same values, because they are installed with the library: nothing in weft's
// headers depends on a flag of the user's own (NDEBUG, optimisation, sanitizers), which would give
// one inline function two definitions.

#define WEFT_VERSION_MAJOR 0
#define WEFT_VERSION_MINOR 1
#define WEFT_VERSION_PATCH 0
