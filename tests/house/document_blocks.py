#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The ```cpp blocks of the documents compile, and those with a main() run and end with 0:
document_blocks.py LIBWEFT.a

README.md with every compiler there is, docs/*.md with the first. A ```text block that follows a
program, with nothing between them, must be what it prints. A block without main() belongs to the
program before it: it must compile after that program's text, as declarations or as the body of a
function.
"""

import concurrent.futures
import os
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import compilers  # noqa: E402

README = compilers.ROOT / "README.md"
BLOCK = re.compile(r"^```cpp\n(?P<code>.*?)^```$"
                   r"(?:\s*^```text\n(?P<output>.*?)^```$)?",
                   re.MULTILINE | re.DOTALL)
MAIN = re.compile(r"\bint main\b")
HEAD = "#include <weft/weft.hpp>\n"


def blocks_of(document):
    """(name, the block, the text of the program before it) of each block."""
    context, text = "", document.read_text()
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start()) + 1
        yield f"{document.relative_to(compilers.ROOT)}:{line}", block, context
        if MAIN.search(block["code"]):
            context = block["code"]


def as_fragments(code, context):
    """The ways in which a block without main() may be meant."""
    before = HEAD + MAIN.sub("int main_of_program", context)
    includes = "".join(re.findall(r"^#include .*\n", code, re.MULTILINE))
    body = re.sub(r"^#include .*\n", "", code, flags=re.MULTILINE)
    yield f"{includes}{before}\n{body}\nint main() {{}}\n"
    yield f"{includes}{before}\nint fragment() {{\n{body}\nreturn 0; }}\nint main() {{}}\n"
    yield (f"{includes}{before}\nweft::task<> fragment() {{\n{body}\nco_return; }}\n"
           "int main() {}\n")


def build(compiler, code, library, folder):
    source, program = folder / "block.cpp", folder / "block"
    source.write_text(code)
    built = compilers.run([*compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror",
                           "-Wno-unused-function", "-Wno-unused-variable", "-I", compilers.INCLUDE,
                           source, *compilers.link_flags(library), "-o", program])
    return program, built


def problem(compiler, block, context, library, folder):
    """What is wrong with a block, or None. It runs in a directory of its own: some write files."""
    code = block["code"]
    if not MAIN.search(code):
        results = [build(compiler, text, library, folder)[1]
                   for text in as_fragments(code, context)]
        if all(result.returncode != 0 for result in results):
            return f"compiles in no way:\n{results[0].stdout[:3000]}"
        return None
    program, built = build(compiler, code, library, folder)
    if built.returncode != 0:
        return f"does not compile:\n{built.stdout[:3000]}"
    result = compilers.run([program], timeout=60, cwd=folder)
    if result.returncode != 0:
        return f"ends with {result.returncode}:\n{result.stdout}"
    if block["output"] is not None and result.stdout != block["output"]:
        return f"prints\n{result.stdout}\ninstead of\n{block['output']}"
    return None


def check(compiler, name, block, context, library):
    with tempfile.TemporaryDirectory() as folder:
        what = problem(compiler, block, context, library, pathlib.Path(folder))
    return f"{name}: {' '.join(compiler)}: {what or 'as promised'}", what is not None


def main():
    library = pathlib.Path(sys.argv[1]).resolve()
    found = compilers.present()
    jobs = [(compiler, *block) for compiler in found for block in blocks_of(README)]
    if not jobs:
        raise SystemExit("README.md has no ```cpp block")
    jobs += [(found[0], *block) for document in sorted((compilers.ROOT / "docs").rglob("*.md"))
             for block in blocks_of(document)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = [one.result() for one in
                   [pool.submit(check, *job, library) for job in jobs]]
    print("\n".join(line for line, _ in results))
    return 1 if any(failed for _, failed in results) else 0


if __name__ == "__main__":
    sys.exit(main())
