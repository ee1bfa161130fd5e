#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""timeline_figures.py TIMELINE.svg DIRECTORY: cuts the demo's timeline into one picture for each
workload (DIRECTORY/waiting.svg, ...), for the pages in docs/.

What a page cannot show is left out (the tooltips), and bars of one colour that follow one another
become one path: the four pictures together are a third of the file that they were cut from."""

import pathlib
import re
import sys

HEADING = re.compile(r'<text x="\d+" y="([\d.]+)" class="h">([^<:]*)')
BAR = re.compile(r'<path d="([^"]*)" (fill="[^>]*?")>')


def without_tooltips(body):
    return re.sub(r"<title>.*?</title></path>", "", body, flags=re.S)


def with_joined_bars(body):
    lines, bars, colour = [], [], None

    def flush():
        if bars:
            lines.append(f'<path d="{"".join(bars)}" {colour}/>')
            bars.clear()

    for line in body.splitlines():
        bar = BAR.fullmatch(line)
        if bar is None or bar[2] != colour:
            flush()
        if bar is None:
            colour = None
            lines.append(line)
        else:
            colour = bar[2]
            bars.append(bar[1])
    flush()
    return "\n".join(lines)


def main():
    timeline, directory = map(pathlib.Path, sys.argv[1:])
    text = timeline.read_text()
    start = text.index('<path class="bg"')
    defs = text[text.index("<style>"):start]
    width = re.search(r'viewBox="0 0 (\d+) ', text)[1]
    headings = list(HEADING.finditer(text))
    end_note = text.index('class="a">A bar is')
    end = text.rindex("<text", 0, end_note)
    bottom = float(re.match(r'<text x="\d+" y="([\d.]+)"', text[end:])[1]) - 10
    directory.mkdir(parents=True, exist_ok=True)
    for heading, following in zip(headings, [*headings[1:], None]):
        top = float(heading[1]) - 30
        height = (float(following[1]) - 34 if following else bottom) - top
        body = text[heading.start():following.start() if following else end]
        path = directory / f"{heading[2]}.svg"
        path.write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 {top:.0f} {width} {height:.0f}" '
            f'width="{width}" height="{height:.0f}">\n{defs}'
            f'<path class="bg" d="M0 {top:.0f}h{width}v{height:.0f}H0z"/>\n'
            f"{with_joined_bars(without_tooltips(body))}\n</svg>\n")
        print(f"{path}: {path.stat().st_size // 1024} KiB")


main()
