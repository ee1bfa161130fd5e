#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the rules of the house that a compiler does not: check_house.py [ROOT]

Prints `file:line: what is wrong` and ends with 1 when something is. Each rule is one function;
tests/house/check_house_test.py shows that each one finds what it is there to find.
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import list_sources  # noqa: E402

ROOMS = ("runtime", "io", "sched")
FOLDERS = (*ROOMS, "include", "tests", "bench", "samples", "tools", "docs", ".ci")
SUFFIXES = {".hpp", ".cpp", ".py", ".sh", ".md", ".build", ".txt"}
COLUMNS_MAX = 100
ROOM_LINES_MAX = 400

# Which rooms a room may include, and of io/ what sched/ may see.
MAY_INCLUDE = {"runtime": {"runtime"}, "io": {"runtime", "io"}, "sched": {"runtime", "io", "sched"}}
IO_SEEN_BY_SCHED = re.compile(r"weft/io/(ring|kernel|signal_set|caught_signals)\b")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
STANDARD = re.compile(r"^[a-z0-9_]+$")
COMMENT = re.compile(r"//.*")


class source:
    """A file of the project: its path below the root, its lines, and the problems found in it."""

    def __init__(self, root, path):
        self.path = path.relative_to(root)
        self.lines = path.read_text(errors="replace").split("\n")
        self.room = self.path.parts[0] if self.path.parts[0] in ROOMS else None
        self.problems = []

    def __repr__(self):
        return str(self.path)

    def is_cpp(self):
        return self.path.suffix in (".hpp", ".cpp")

    def problem(self, number, text):
        self.problems.append(f"{self.path}:{number}: {text}")

    def includes(self):
        for number, line in enumerate(self.lines, 1):
            if match := INCLUDE.match(line):
                yield number, match[1], match[2]

    def code(self):
        """Numbered lines without their line comments."""
        return ((number, COMMENT.sub("", line)) for number, line in enumerate(self.lines, 1))


def check_text(file):
    """Ends of lines, tabs, width, and the last line."""
    width = COLUMNS_MAX if file.path.suffix != ".md" else None
    for number, line in enumerate(file.lines, 1):
        if line != line.rstrip():
            file.problem(number, "ends in white space")
        if "\t" in line:
            file.problem(number, "holds a tab")
        if width and len(line) > width:
            file.problem(number, f"is {len(line)} columns wide, more than {width}")
    if file.lines[-1] != "" or (len(file.lines) > 1 and file.lines[-2] == ""):
        file.problem(len(file.lines), "does not end in exactly one line end")


def check_licence(file):
    """The SPDX line comes first, in scripts after the #! line."""
    if file.path.suffix == ".md":
        return
    first = 1 if file.lines[0].startswith("#!") else 0
    if "SPDX-License-Identifier: MIT" not in "".join(file.lines[first:first + 1]):
        file.problem(first + 1, "the SPDX line is missing")


def check_header(file):
    """#pragma once, and macros that bear the project's name."""
    if file.path.suffix != ".hpp":
        return
    if "#pragma once" not in file.lines[:20]:
        file.problem(1, "#pragma once is missing")
    for number, line in enumerate(file.lines, 1):
        if match := re.match(r"\s*#\s*define\s+(\w+)", line):
            if file.room and not match[1].startswith("WEFT_"):
                file.problem(number, f"macro {match[1]} does not begin with WEFT_")


def check_direction(file):
    """Includes go sched -> io -> runtime, and runtime knows the standard library only."""
    for number, bracket, name in file.includes() if file.is_cpp() else ():
        target = re.match(r"weft/(runtime|io|sched)/", name)
        if file.room and bracket == '"' and not name.startswith("weft/"):
            file.problem(number, f'"{name}" is not spelled as a user would, "weft/..."')
        if file.room and target and target[1] not in MAY_INCLUDE[file.room]:
            file.problem(number, f"{file.room}/ must not include {target[1]}/")
        io_seen = IO_SEEN_BY_SCHED.match(name)
        if file.room == "sched" and target and target[1] == "io" and not io_seen:
            file.problem(number, "of io/, sched/ may see the ring, its kernel and signals only")
        if file.room and name == "weft/weft.hpp":
            file.problem(number, "weft.hpp is for users")
        if file.room == "runtime" and bracket == "<" and not STANDARD.match(name):
            file.problem(number, f"runtime/ includes the standard library only, not <{name}>")
        if file.room == "runtime" and name in ("thread", "future") and file.path.suffix == ".hpp":
            file.problem(number, f"runtime/ starts no threads: <{name}>")


def check_detail(file):
    """X/detail/ is for X/ alone; tests may look."""
    for number, _, name in file.includes() if file.is_cpp() else ():
        match = re.match(r"weft/(\w+)/(?:\w+/)*detail/", name)
        if match and file.path.parts[0] not in (match[1], "tests"):
            file.problem(number, f"{match[1]}/detail/ is for {match[1]}/ alone")


def check_liburing(file):
    """Only io/ talks to the kernel's rings; benchmarks compare with them, and tests/support/ holds
    a kernel of its own, which answers them."""
    allowed = file.path.parts[0] in ("io", "bench") or file.path.parts[:2] == ("tests", "support")
    if allowed or not file.is_cpp():
        return
    for number, _, name in file.includes():
        if name.startswith(("liburing", "linux/io_uring")):
            file.problem(number, f"<{name}> outside io/")


def check_threads(file):
    if file.room != "runtime" or not file.is_cpp():
        return
    for number, line in file.code():
        if re.search(r"\bstd::(jthread|thread|async)\b|\bpthread_create\b", line):
            file.problem(number, "runtime/ starts no threads")


def check_configuration(file):
    """No layout and no inline definition depends on the flags of a user's translation unit."""
    if not file.room or file.path.suffix != ".hpp":
        return
    for number, line in enumerate(file.lines, 1):
        if re.match(r"\s*#\s*(if|elif)", line) and re.search(
                r"\bNDEBUG\b|__OPTIMIZE__|__SANITIZE_|sanitizer\)", line):
            file.problem(number, "a header must not depend on NDEBUG, optimisation or sanitizers")


def public_declarations(lines):
    """(line number, text up to its end or its body) of what the lines declare at the level of a
    namespace, detail excepted. As clang-format leaves it: unindented, behind the end of something.
    """
    namespaces, before = [], ""
    for number, line in enumerate(lines, 1):
        if match := re.match(r"namespace ([\w:]+) \{", line):
            namespaces.append(match[1].split("::"))
        elif line.startswith("}  // namespace") and namespaces:
            namespaces.pop()
        elif (namespaces and namespaces[0][0] == "weft" and re.match(r"\w|\[\[", line)
              and re.search(r"^$|;$|^\S.*[{}]$|//.*$", before)
              and not any("detail" in one for one in namespaces)
              and not re.match(r"(public|protected|private):", line)):
            yield number, re.match(r"[^;{]*.?", "\n".join(lines[number - 1:number + 9]))[0]
        before = line


def check_documented(file):
    """What a room offers to others is explained where it is declared. Nothing to say there: names
    only, and definitions of members."""
    if not file.room or file.path.suffix != ".hpp" or "detail" in file.path.parts:
        return
    for number, text in public_declarations(file.lines):
        name_only = re.fullmatch(r"(template <.*>\s+)?(class|struct|enum class) \w+;", text)
        member = re.search(r"::~?\w+$", text.partition("(")[0])
        if name_only or member or text.startswith(("static_assert", "extern", "friend")):
            continue
        if not file.lines[number - 2].startswith("///"):
            file.problem(number, "a public declaration without a /// block")


def check_size(file):
    if file.room and file.is_cpp() and len(file.lines) - 1 > ROOM_LINES_MAX:
        file.problem(len(file.lines), f"more than {ROOM_LINES_MAX} lines: probably two things")


def check_words(file):
    """No plans in comments, no paths of somebody's machine."""
    if file.path.name in ("check_house.py", "check_house_test.py"):
        return
    for number, line in enumerate(file.lines, 1):
        if match := re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
            file.problem(number, f"{match[1]}: a plan belongs into the tracker")
        if match := re.search(r"(?<![\w.])/(work|root|home/\w+)/", line):
            file.problem(number, f"{match[0]} is a path of one machine")


def checks_of(text):
    """(offset, argument text) of each doctest assertion in `text`."""
    for match in re.finditer(r"\b(?:FAST_)?(?:CHECK|REQUIRE|WARN)(?:_[A-Z_]+)?\s*\(", text):
        depth, end = 1, match.end()
        while depth and end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        yield match.start(), text[match.end():end - 1]


def check_assertions(file):
    """g++ 12 miscompiles a co_await inside these macros; and no test is skipped unseen."""
    if file.path.parts[0] not in ("tests", "bench") or not file.is_cpp():
        return
    text = "\n".join(line for _, line in file.code())
    for offset, argument in checks_of(text):
        # A lambda inside the assertion has a body of its own.
        has_lambda = re.search(r"\]\s*(\(|\{|->)", argument)
        if re.search(r"\bco_await\b", argument) and not has_lambda:
            file.problem(text.count("\n", 0, offset) + 1, "co_await inside an assertion")
    for number, line in file.code():
        # A skip that depends on the build is shown in the summary of the run.
        if re.search(r"doctest::(skip\((true)?\)|may_fail|should_fail|expected_failures)", line):
            file.problem(number, "a test that is skipped or may fail proves nothing")


RULES = [check_text, check_licence, check_header, check_direction, check_detail, check_liburing,
         check_threads, check_configuration, check_documented, check_size, check_words,
         check_assertions]


def check_links(root):
    """Relative links of the documents lead somewhere."""
    documents = [*root.glob("*.md"), *(p for f in FOLDERS for p in (root / f).rglob("*.md"))]
    for path in sorted(documents):
        text = re.sub(r"^```.*?^```|`[^`]+`", lambda code: re.sub(r"[^\n]", " ", code[0]),
                      path.read_text(), flags=re.MULTILINE | re.DOTALL)
        for number, line in enumerate(text.split("\n"), 1):
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line):
                if "://" not in target and not (path.parent / target).exists():
                    yield f"{path.relative_to(root)}:{number}: {target} does not exist"


def check_tree(root):
    """What concerns the project as a whole."""
    for name in ("README.md", "LICENSE", "CONTRIBUTING.md", "CHANGELOG.md",
                 *(f"{folder}/README.md" for folder in (*ROOMS, "tests", "bench", "samples"))):
        if not (root / name).exists():
            yield f"{name}:1: is missing"
    for room in ROOMS:
        link = root / "include" / "weft" / room
        if not link.is_symlink() or link.resolve() != (root / room).resolve():
            yield f"include/weft/{room}:1: is not a link to ../../{room}"
    meson_build, config = root / "meson.build", root / "include/weft/config.hpp"
    if meson_build.exists() and config.exists():
        version = re.search(r"version: '([\d.]+)'", meson_build.read_text())[1]
        macros = re.findall(r"WEFT_VERSION_\w+ (\d+)", config.read_text())
        if version != ".".join(macros):
            yield (f"include/weft/config.hpp:1: version {'.'.join(macros)} "
                   f"is not meson.build's {version}")
    build_files = [root / path.relative_to(list_sources.ROOT) for path in list_sources.BUILD_FILES]
    for path in list_sources.stale(build_files):
        yield f"{path.relative_to(root)}:1: a list is stale; run `./dev format`"
    yield from check_links(root)
    yield from check_ring_operations(root)


def check_ring_operations(root):
    """What io/ fills entries with stands in the list that doctor() asks a kernel for."""
    needs = root / "io/kernel/ring_needs.hpp"
    if not needs.exists():
        return
    listed = set(re.findall(r"\bIORING_OP_(\w+)", needs.read_text()))
    variants = {"POLL_MULTISHOT": "POLL_ADD", "CANCEL64": "ASYNC_CANCEL"}
    for path in sorted((root / "io").rglob("*pp")):
        for number, line in enumerate(path.read_text().split("\n"), 1):
            for name in re.findall(r"\bio_uring_prep_(\w+)\(", line):
                if variants.get(name.upper(), name.upper()) not in listed:
                    yield f"{path.relative_to(root)}:{number}: {name} is not in {needs.name}"


def files_of(root):
    """Every source of the project, each once: links are not followed."""
    candidates = [path for path in root.iterdir() if path.is_file()]
    for folder in FOLDERS:
        candidates += (root / folder).rglob("*")
    for path in sorted(candidates):
        relative = path.relative_to(root)
        through_link = any((root / parent).is_symlink() for parent in relative.parents)
        if path.is_file() and not path.is_symlink() and not through_link:
            if path.suffix in SUFFIXES or relative.as_posix() in ("dev", ".ci/run"):
                yield source(root, path)


def problems(root):
    found = []
    for file in files_of(root):
        for rule in RULES:
            rule(file)
        found += file.problems
    return found + list(check_tree(root))


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else list_sources.ROOT).resolve()
    found = problems(root)
    print("\n".join(found) or "the house is in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
