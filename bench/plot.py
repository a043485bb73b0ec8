#!/usr/bin/env python3
"""Draws the result of vectron_bench_index: an SVG of recall against queries per second, and tables for a document.

    python3 bench/plot.py result.json [...] --svg docs/benchmarks-index.svg --document docs/benchmarks.md

The tables replace what stands between `<!-- index: begin -->` and `<!-- index: end -->` in the document.
"""
import argparse
import json
import math
import os
import re
import sys

PANEL_WIDTH, PANEL_HEIGHT, MARGIN = 420, 300, 60
COLOURS = {"vectron": "#1864ab", "hnswlib": "#c92a2a"}
RECALL_TICKS = [0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999]


def misses(recall):
    """Recall on an axis that widens towards 1."""
    return -math.log10(max(1 - recall, 2e-4))


class Panel:
    """One data set: two curves in a box whose upper left corner is at (left, top)."""

    def __init__(self, data, left, top):
        self.data, self.left, self.top = data, left, top
        points = [p for name in COLOURS for p in data[name]]
        self.x_range = misses(0.8), misses(0.9995)
        rates = [p["qps_per_cpu"] for p in points if p["recall"] >= 0.8] or [1, 10]
        self.y_range = math.log10(min(rates)) - 0.05, math.log10(max(rates)) + 0.05

    def x(self, recall):
        low, high = self.x_range
        share = (min(max(misses(recall), low), high) - low) / (high - low)
        return self.left + share * PANEL_WIDTH

    def y(self, rate):
        low, high = self.y_range
        return self.top + PANEL_HEIGHT * (1 - (math.log10(rate) - low) / (high - low))

    def rate_ticks(self):
        low, high = self.y_range
        for power in range(int(low), int(high) + 1):
            for step in (1, 2, 5):
                if low <= math.log10(step * 10**power) <= high:
                    yield step * 10**power

    def draw(self):
        title = f'{self.data["name"]}: {self.data["points"]:,} x {self.data["dimension"]}, {self.data["metric"]}'
        right, bottom = self.left + PANEL_WIDTH, self.top + PANEL_HEIGHT
        yield f'<text x="{self.left}" y="{self.top - 12}" font-weight="bold">{title}</text>'
        yield (f'<rect x="{self.left}" y="{self.top}" width="{PANEL_WIDTH}" height="{PANEL_HEIGHT}" fill="none" '
               'stroke="#868e96"/>')
        for recall in RECALL_TICKS:
            x = self.x(recall)
            yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{self.top}" y2="{bottom}" stroke="#dee2e6"/>'
            yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{recall:g}</text>'
        for rate in self.rate_ticks():
            y = self.y(rate)
            yield f'<line x1="{self.left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dee2e6"/>'
            yield f'<text x="{self.left - 6}" y="{y + 4:.1f}" text-anchor="end">{rate:,}</text>'
        for row, (name, colour) in enumerate(COLOURS.items()):
            seen = [p for p in self.data[name] if p["recall"] >= 0.8]
            line = " ".join(f'{self.x(p["recall"]):.1f},{self.y(p["qps_per_cpu"]):.1f}' for p in seen)
            yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
            for p in seen:
                yield f'<circle cx="{self.x(p["recall"]):.1f}" cy="{self.y(p["qps_per_cpu"]):.1f}" r="3" fill="{colour}"/>'
            yield f'<text x="{right - 8}" y="{self.top + 18 + 16 * row}" text-anchor="end" fill="{colour}">{name}</text>'


def svg(result):
    columns = 2
    sets = result["sets"]
    rows = (len(sets) + columns - 1) // columns
    width = columns * (PANEL_WIDTH + MARGIN + 20) + 20
    height = rows * (PANEL_HEIGHT + 2 * MARGIN)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>']
    for i, data in enumerate(sets):
        left = MARGIN + (i % columns) * (PANEL_WIDTH + MARGIN + 20)
        top = MARGIN + (i // columns) * (PANEL_HEIGHT + 2 * MARGIN)
        out += Panel(data, left, top).draw()
        out.append(f'<text x="{left + PANEL_WIDTH / 2}" y="{top + PANEL_HEIGHT + 36}" text-anchor="middle">'
                   'recall@10 / queries per second of CPU, one thread</text>')
    return "\n".join(out + ["</svg>", ""])


def number(value, digits=2):
    return "-" if value is None else f"{value:,.{digits}f}"


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def curve_rows(sets):
    for data in sets:
        for at in data["at_recall"]:
            yield [data["name"], f'{at["recall"]:g}', number(at["vectron_qps"], 0), number(at["hnswlib_qps"], 0),
                   number(at["ratio"]) + "x"]


def build_rows(sets):
    for data in sets:
        build, memory = data["build"], data.get("memory") or {}
        yield [data["name"], number(build["vectron_cpu_s"], 1), number(build["hnswlib_cpu_s"], 1),
               number(build["ratio"]) + "x", number(memory.get("vectron_bytes_per_vector"), 0),
               number(memory.get("hnswlib_bytes_per_vector"), 0), number(memory.get("ratio")) + "x"]


def filter_rows(sets):
    for data in sets:
        for row in data.get("filters", []):
            yield [data["name"], row["name"], f'{100 * row["share"]:.2f} %', number(row["recall"], 4),
                   number(row["cpu_us"], 0), str(row["short_answers"]), row["plans"]]


def markdown(result, picture):
    machine = result["machine"]
    parameters = result["parameters"]
    load = ", ".join(f"{value:.1f}" for value in machine["load_average"])
    load_end = ", ".join(f"{value:.1f}" for value in result["machine_at_the_end"]["load_average"])
    yield (f'Machine: {machine["processors"]} shared cores of {machine["processor"]}'
           f'{" with AVX-512 VNNI" if machine["avx512_vnni"] else ""}, Linux {machine["kernel"]}; load average {load} at the '
           f'start, {load_end} at the end; commit {machine["commit"]}. M = {parameters["m"]}, efConstruction = '
           f'{parameters["ef_construct"]}, k = {parameters["k"]}; one thread, its CPU time, both indexes in one process by '
           f'turns, the median of {parameters["repeats"]} passes.')
    sets = result.get("sets", [])
    if sets:
        if picture:
            yield from ["", f"![Recall against queries per second]({picture})"]
        yield from ["", "Queries per second of CPU at equal recall@10:", ""]
        yield from table(["data", "recall", "Vectron", "hnswlib", "ratio"], curve_rows(sets))
        yield from ["", "Build and memory (anonymous memory of the process a vector; Vectron's full-precision vectors are in a "
                    "file):", ""]
        yield from table(["data", "build, CPU s", "hnswlib", "ratio", "bytes a vector", "hnswlib", "ratio"], build_rows(sets))
    if any(data.get("filters") for data in sets):
        yield from ["", "Filtered search at the default ef, k = 10:", ""]
        yield from table(["data", "filter", "match", "recall@10", "CPU us", "short answers", "plans"], filter_rows(sets))
    if "churn" in result:
        churn = result["churn"]
        yield from ["", f'Churn: {churn["points"]:,} points of {churn["data"]}, all replaced in {churn["rounds"]} rounds, ef '
                    f'{churn["ef"]}: recall {churn["recall_before"]:.4f} before, {churn["recall_after"]:.4f} after, '
                    f'{churn["recall_of_fresh_index"]:.4f} in an index built afresh of the same points; {churn["slots"]:,} slots '
                    'used.']
    if "reopen" in result:
        reopen = result["reopen"]
        yield from ["", f'Reopening {reopen["points"]:,} x {reopen["dimension"]} from a checkpoint, page cache warm, to the first '
                    f'answer ({"right" if reopen["right"] else "WRONG"}): {reopen["wall_s"]:.3f} s, {reopen["cpu_s"]:.3f} s of CPU. '
                    f'Built in {reopen["build_cpu_s"]:,.0f} s of CPU, one thread.']


def merge(paths):
    """The parts of all results; machine and parameters are those of the first."""
    merged = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            result = json.load(file)
        merged.setdefault("sets", []).extend(result.pop("sets", []))
        merged = {**result, **merged}
    return merged


def replace_section(path, lines):
    begin, end = "<!-- index: begin -->", "<!-- index: end -->"
    text = open(path, encoding="utf-8").read() if os.path.exists(path) else f"# Benchmarks\n\n## Index\n\n{begin}\n{end}\n"
    if begin not in text or end not in text:
        sys.exit(f"{path}: no {begin} ... {end}")
    body = "\n".join([begin, *lines, end])
    text = re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: body, text, flags=re.S)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("result", nargs="+", help="of one run or of several, each with other parts (--only, --sets)")
    parser.add_argument("--svg", help="file to draw the curves to")
    parser.add_argument("--document", help="Markdown file with the section to replace; else the tables are printed")
    args = parser.parse_args()
    result = merge(args.result)
    picture = None
    if args.svg and result.get("sets"):
        with open(args.svg, "w", encoding="utf-8") as out:
            out.write(svg(result))
        picture = os.path.relpath(args.svg, os.path.dirname(args.document) or ".") if args.document else args.svg
    lines = list(markdown(result, picture))
    if args.document:
        replace_section(args.document, lines)
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
