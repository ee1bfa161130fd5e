#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Says whether the tests that call compilers themselves cover both of them here.

They go on with one where the other is missing; this one is then shown as skipped, so that it does
not go unseen. Where CI is set it fails, and so do they.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import compilers  # noqa: E402

SKIPPED = 77  # what meson takes for a skip

if __name__ == "__main__":
    sys.exit(SKIPPED if compilers.missing(compilers.present()) else 0)
