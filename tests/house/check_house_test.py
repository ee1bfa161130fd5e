#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each rule of check_house.py finds what it forbids, and leaves alone what it allows."""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import check_house  # noqa: E402

SPDX = "// SPDX-License-Identifier: MIT\n"
HEADER = SPDX + "#pragma once\n\n"

# (path, text, a part of the problem that must be found; None: nothing may be found)
CASES = [
    ("runtime/good.hpp", HEADER + "#include <atomic>\n", None),
    ("runtime/good.cpp", SPDX + '#include "weft/runtime/detail/x.hpp"\n', None),
    ("io/good.hpp", HEADER + '#include "weft/runtime/task.hpp"\n#include <liburing.h>\n', None),
    ("sched/good.hpp", HEADER + '#include "weft/io/ring.hpp"\n', None),
    ("tests/io/good_test.cpp", SPDX + '#include "weft/io/detail/x.hpp"\n', None),
    ("bench/good.cpp", SPDX + "#include <liburing.h>\n", None),
    ("runtime/a.hpp", "#pragma once\n", "SPDX"),
    ("tools/a.py", "#!/usr/bin/env python3\nprint()\n", "SPDX"),
    ("runtime/a.hpp", SPDX, "#pragma once"),
    ("runtime/a.hpp", HEADER + "#define MAX 3\n", "macro MAX"),
    ("runtime/a.hpp", HEADER + '#include "weft/io/tcp.hpp"\n', "must not include io/"),
    ("runtime/a.cpp", SPDX + '#include "weft/sched/pool.hpp"\n', "must not include sched/"),
    ("io/a.hpp", HEADER + '#include "weft/sched/pool.hpp"\n', "must not include sched/"),
    ("sched/a.hpp", HEADER + '#include "weft/io/tcp.hpp"\n',
     "the ring, its kernel and signals only"),
    ("runtime/a.hpp", HEADER + '#include "task.hpp"\n', "as a user would"),
    ("io/a.hpp", HEADER + '#include "weft/weft.hpp"\n', "for users"),
    ("runtime/a.hpp", HEADER + "#include <unistd.h>\n", "standard library only"),
    ("runtime/a.cpp", SPDX + "#include <fmt/core.h>\n", "standard library only"),
    ("runtime/a.hpp", HEADER + "#include <thread>\n", "starts no threads"),
    ("runtime/a.cpp", SPDX + "std::jthread helper;\n", "starts no threads"),
    ("sched/a.hpp", HEADER + '#include "weft/runtime/detail/x.hpp"\n', "for runtime/ alone"),
    ("io/a.hpp", HEADER + '#include "weft/io/kernel/detail/x.hpp"\n', None),
    ("samples/a.cpp", SPDX + '#include "weft/io/kernel/detail/x.hpp"\n', "for io/ alone"),
    ("sched/a.cpp", SPDX + "#include <liburing.h>\n", "outside io/"),
    ("tests/a.cpp", SPDX + "#include <linux/io_uring.h>\n", "outside io/"),
    ("runtime/a.hpp", HEADER + "#ifdef NDEBUG\n#endif\n", "must not depend on"),
    ("runtime/a.hpp", HEADER + "#if defined(__SANITIZE_ADDRESS__)\n#endif\n", "must not depend"),
    ("runtime/a.hpp", HEADER + "#if __has_feature(thread_sanitizer)\n#endif\n", "must not depend"),
    ("runtime/a.hpp", HEADER + "namespace weft {\n\nint f();\n\n}  // namespace weft\n",
     "a.hpp:6: a public declaration"),
    ("io/a.hpp", HEADER + "namespace weft::fs {\n\n// For x.\nstruct y {\n  int z;\n};\n\n"
     "}  // namespace weft::fs\n", "a.hpp:7: a public declaration"),
    ("io/a.hpp", HEADER + "namespace weft {\n\n/// Says f.\ntemplate <class T>\nint f(T);\n"
     "template <class T>\n  requires(T t) { t.g(); }\nint g(T);\n\n}  // namespace weft\n",
     "a.hpp:9: a public declaration"),
    ("io/a.hpp", HEADER + "namespace weft {\n\nclass x;\ntemplate <class T>\nclass y;\n\n"
     "/// An x.\nclass x {\npublic:\n  int a;\n\nprivate:\n  int f();\n};\n\n"
     "namespace detail {\n\nint g();\n\n}  // namespace detail\n\n"
     "inline int x::f() { return 1; }\n\nstatic_assert(sizeof(x) == 4);\n\n"
     "}  // namespace weft\n", None),
    ("runtime/detail/a.hpp", HEADER + "namespace weft {\n\nint f();\n\n}  // namespace weft\n",
     None),
    ("runtime/a.hpp", HEADER + "int x;\n" * 400, "more than 400 lines"),
    ("io/a.hpp", HEADER + "// TO" + "DO: more\n", "tracker"),
    ("io/a.hpp", HEADER + "// see /ro" + "ot/x\n", "path of one machine"),
    ("io/a.hpp", HEADER + "//" + "x" * 99 + "\n", "columns wide"),
    ("io/a.hpp", HEADER + "int x; \n", "white space"),
    ("io/a.hpp", HEADER + "\tint x;\n", "tab"),
    ("io/a.hpp", HEADER + "int x;", "line end"),
    ("io/a.hpp", HEADER + "int x;\n\n", "line end"),
    ("tests/a.cpp", SPDX + "CHECK(\n  1 == co_await f());\n", "a.cpp:2: co_await inside"),
    ("tests/a.cpp", SPDX + "REQUIRE_THROWS_AS(co_await f(), int);\n", "co_await inside"),
    ("tests/a.cpp", SPDX + "CHECK(run([]() -> task<> { co_await f(); }()));\n", None),
    ("tests/a.cpp", SPDX + "auto x = co_await f();\nCHECK(x == 1);  // not co_await\n", None),
    ("tests/a.cpp", SPDX + 'TEST_CASE("x" * doctest::skip()) {}\n', "proves nothing"),
]

# (path, text, a part of the problem) for what concerns the project as a whole.
TREE_CASES = [
    ("docs/a.md", "[there](nowhere.md)\n", "docs/a.md:1: nowhere.md does not exist"),
    ("io/meson.build", "# sources: *.hpp\nx = files(\n  'no.hpp',\n)\n",
     "io/meson.build:1: a list is stale"),
    ("include/weft/config.hpp", HEADER + "#define WEFT_VERSION_MAJOR 7\n", "version 7 is not"),
    ("io/kernel/ring_needs.hpp", HEADER + "// as io_uring_prep_nop(sqe)\n",
     "io/kernel/ring_needs.hpp:4: nop is not in ring_needs.hpp"),
    ("docs/empty.md", "\n", "README.md:1: is missing"),
    ("docs/empty.md", "\n", "include/weft/io:1: is not a link"),
]


def problems_with(path, text, whole_tree):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "meson.build").write_text("project(version: '0.1.0')\n")
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        found = check_house.problems(root)
    return found if whole_tree else [line for line in found if line.startswith(path + ":")]


def main():
    wrong = 0
    for path, text, expected in [*CASES, *TREE_CASES]:
        found = problems_with(path, text, (path, text, expected) in TREE_CASES)
        if not any(expected in line for line in found) if expected else found:
            wrong += 1
            print(f"{path}: {text!r}\n  expected {expected!r}, found {found}")
    print(f"{len(CASES) + len(TREE_CASES)} cases, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
