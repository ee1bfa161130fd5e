#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""README.md's ```cpp blocks compile, and those with a main() run: readme_blocks.py LIBWEFT.a

A ```text block that follows a program, with nothing between them, must be what it prints. A block
without main() belongs to the program before it: it must compile after that program's text, as
declarations or as the body of a function.
"""

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


def check(compiler, library, folder):
    """The problems that `compiler` finds, and how many blocks there were."""
    problems, context, number = [], "", 0
    for number, block in enumerate(BLOCK.finditer(README.read_text()), 1):
        code = block["code"]
        if not MAIN.search(code):
            results = [build(compiler, text, library, folder)[1]
                       for text in as_fragments(code, context)]
            if all(result.returncode != 0 for result in results):
                problems.append(f"block {number} compiles in no way:\n{results[0].stdout[:3000]}")
            continue
        context = code
        program, built = build(compiler, code, library, folder)
        if built.returncode != 0:
            problems.append(f"block {number} does not compile:\n{built.stdout[:3000]}")
            continue
        result = compilers.run([program], timeout=30, cwd=folder)
        if result.returncode != 0:
            problems.append(f"block {number} ends with {result.returncode}:\n{result.stdout}")
        elif block["output"] is not None and result.stdout != block["output"]:
            problems.append(f"block {number} prints\n{result.stdout}\n"
                            f"instead of\n{block['output']}")
    return problems, number


def main():
    library = pathlib.Path(sys.argv[1])
    failed = False
    for compiler in compilers.present():
        with tempfile.TemporaryDirectory() as folder:
            problems, blocks = check(compiler, library, pathlib.Path(folder))
        if blocks == 0:
            problems = ["no ```cpp block"]
        print(f"{' '.join(compiler)}: {blocks} blocks, {len(problems)} problems")
        print("\n".join(problems))
        failed = failed or bool(problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
