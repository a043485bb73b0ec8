#!/usr/bin/env python3
"""The style guide as a test: prints each fault as `file:line: what` and exits with their number (at most 1).

Checked: include arrows between the floors, file and function length, banned calls, headers that nothing includes, sources that no
build file takes, scripts that nothing names, links in documents, paths of one machine, header basics. Reads only files that git
tracks (or would).
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 70

# folder -> folders it may include (beside itself); the house of ARCHITECTURE.md.
FLOOR0 = {"base"}
FLOOR1 = {"model", "index", "storage", "consensus"}
ARROWS = {
    "base": set(),
    "model": FLOOR0,
    "index": FLOOR0,
    "storage": FLOOR0,
    "consensus": FLOOR0,
    "shard": FLOOR0 | FLOOR1,
    "rpc": FLOOR0 | {"model", "consensus"},
}
SERVICES = {"gateway", "placement", "worker", "auth", "reranker"}
for service in SERVICES:
    ARROWS[f"services/{service}"] = FLOOR0 | FLOOR1 | {"shard", "rpc"}

# pattern -> (why, folders where it is allowed); looked for in code without comments and strings.
BANNED = [
    (r"\bstd::(thread|jthread)\b(?!::)", "threads are born in base/executor, rpc servers and apps", ("src/base/executor", "src/base/timer", "src/apps", "src/rpc", "bench", "tests")),
    (r"\b(rand|srand|sprintf|strcpy|strcat|gets)\s*\(", "banned C function", ()),
    (r"\bstd::(cout|cerr)\b", "use base/log.h, or fmt::print in apps", ("src/apps", "bench", "tests")),
    (r"\bstd::(random_device|mt19937)", "use base/random.h with a seed", ()),
    (r"\b(system_clock|steady_clock|high_resolution_clock)::now", "time comes from base/clock.h", ("src/base/clock", "src/base/timer", "src/apps", "bench", "tests")),
    (r"\bsleep_for\b|\busleep\s*\(", "no sleeping: wait for the event", ("src/apps/vectronctl", "bench", "tests")),
    (r"\bthrow\b(?!\s*\()", "no exception crosses a floor", ()),
    (r"\bNOLINT\b(?!\()", "say which check: NOLINT(check): why", ()),
    (r"\busing namespace std\b", "no using namespace std", ()),
    (r"\b(TODO|FIXME|XXX)\b", "no open ends in the code", ()),
]
CODE = (".h", ".cc")
faults = []


def fault(path, line, what):
    faults.append(f"{path}:{line}: {what}")


def tracked():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [p for p in listed.stdout.splitlines() if os.path.isfile(os.path.join(ROOT, p))]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def blank(match):
    """Keeps the line breaks of what is blanked out, so that line numbers stay true."""
    return re.sub(r"[^\n]", " ", match.group(0))


STRIP = re.compile(r'R"(\w*)\(.*?\)\1"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'(?<=\')', re.S)


def without_comments(text):
    # 1'000 is a number, not a character.
    text = re.sub(r"(?<=\d)'(?=\d)", "_", text)
    return STRIP.sub(blank, text)


def folder_of(path):
    """`src/services/gateway/x.cc` -> `services/gateway`; None outside src."""
    parts = path.split("/")
    if parts[0] != "src" or len(parts) < 3:
        return None
    return "/".join(parts[1:3]) if parts[1] == "services" else parts[1]


def check_includes(path, text):
    own = folder_of(path)
    if own is None or own == "apps":
        return
    test = path.endswith(("_test.cc", "_testing.cc"))
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not found:
            continue
        target = folder_of("src/" + found.group(1))
        if target is None or target == own or target not in set(ARROWS) | {"apps"}:
            continue
        if target not in ARROWS.get(own, set()) and not (test and own.startswith("services/")):
            fault(path, number, f"{own} must not include {target} (arrows point down)")


def check_functions(path, code):
    """A function body is a block at the outermost level of namespaces and classes; found by its braces."""
    depth_kinds = []  # "scope" for namespaces and classes, "code" for bodies, per open brace
    head_start = 0
    body_line = None
    line = 1
    for position, char in enumerate(code):
        if char == "\n":
            line += 1
        elif char in ";":
            head_start = position + 1
        elif char == "{":
            head = code[head_start:position]
            inside_code = "code" in depth_kinds
            scope = not inside_code and (re.search(r"\b(namespace|class|struct|union|enum|extern)\b[^()=]*$", head) or
                                         re.search(r"=\s*$|\bconcept\b", head))
            if not inside_code and not scope:
                body_line = line
            depth_kinds.append("scope" if scope else "code")
            head_start = position + 1
        elif char == "}":
            kind = depth_kinds.pop() if depth_kinds else "scope"
            if kind == "code" and "code" not in depth_kinds and body_line is not None:
                if line - body_line > MAX_FUNCTION_LINES:
                    fault(path, body_line, f"function of {line - body_line} lines (at most {MAX_FUNCTION_LINES})")
                body_line = None
            head_start = position + 1


def check_code(path, text):
    code = without_comments(text)
    check_includes(path, text)
    if not path.endswith("_test.cc"):
        check_functions(path, code)
    for pattern, why, allowed in BANNED:
        # A client library and its examples stand alone: they throw, and have no use for the server's seams.
        if path.startswith(("sdk/", "examples/")) and "TODO" not in pattern:
            continue
        if path.startswith(allowed) or path.endswith(("_test.cc", "_testing.cc")):
            continue
        where = text if "TODO" in pattern or "NOLINT" in pattern else code
        for found in re.finditer(pattern, where):
            fault(path, where.count("\n", 0, found.start()) + 1, f"'{found.group(0).strip()}': {why}")
    if path.endswith(".h") and "#pragma once" not in text:
        fault(path, 1, "header without #pragma once")


def check_documents(path, text):
    base = os.path.dirname(path)
    for number, line in enumerate(text.splitlines(), 1):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            target = target.split("#")[0]
            if not target or re.match(r"[a-z]+:", target):
                continue
            if not os.path.exists(os.path.join(ROOT, base, target)):
                fault(path, number, f"broken link: {target}")


def check_dead_headers(paths):
    """A header that nothing includes is dead."""
    included = set()
    for path in paths:
        if path.endswith(CODE):
            included.update(re.findall(r'#\s*include\s+"([^"]+)"', read(path)))
    for path in paths:
        named = path[4:] in included or "/include/" in path and os.path.basename(path) in included
        if path.startswith("src/") and path.endswith(".h") and not named:
            fault(path, 1, "nothing includes this header")


def check_unbuilt_sources(texts):
    """A source is built when a CMakeLists.txt beside or above it takes all of its folder or names it, or a script beside it does."""
    scripts = {}
    for path in texts:
        if path.endswith(".sh"):
            scripts[os.path.dirname(path)] = scripts.get(os.path.dirname(path), "") + texts[path]
    for path in texts:
        if not path.endswith(".cc"):
            continue
        folder, taken = os.path.dirname(path), False
        while folder and not taken:
            build = texts.get(folder + "/CMakeLists.txt", "") + scripts.get(folder, "")
            stem = re.escape(os.path.basename(path)[:-3].removeprefix("fuzz_"))  # fuzz_${subject}
            taken = re.search(rf"vectron_library\(|\bGLOB\b|\b(fuzz_)?{stem}\b", build) is not None
            folder = os.path.dirname(folder)
        if not taken:
            fault(path, 1, "no CMakeLists.txt and no script beside it builds this file")


# Found by their test runner.
TESTS = re.compile(r"(^|/)(test_\w+|\w+_test|conftest|__init__)\.py$")


def check_dead_scripts(texts):
    """A script is named, with or without its ending, by another file."""
    stems = {path: os.path.basename(path).rsplit(".", 1)[0] for path in texts if path.endswith((".py", ".sh")) and not TESTS.search(path)}
    wanted = set(stems.values())
    namers = {stem: set() for stem in wanted}
    for path, text in texts.items():
        for stem in wanted.intersection(re.findall(r"[\w-]+", text)):
            namers[stem].add(path)
    for path, stem in stems.items():
        if not namers[stem] - {path}:
            fault(path, 1, "nothing names this script")


MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|farm|root|home)/[\w.]")


def main():
    paths = tracked()
    texts = {}
    for path in paths:
        if path.endswith((".gz", ".png", ".svg", ".f16", ".lock", "package-lock.json", ".pb.go", "go.sum")):
            continue
        text = texts[path] = read(path)
        lines = text.count("\n")
        source = path.startswith(("src/", "bench/", "tests/", "tools/", "sdk/", "console/src/"))
        if source and path.endswith((".h", ".cc", ".py", ".rs", ".ts", ".tsx", ".go")) and lines > MAX_FILE_LINES:
            fault(path, lines, f"file of {lines} lines (at most {MAX_FILE_LINES})")
        if path.endswith(CODE):
            check_code(path, text)
        if path.endswith(".md"):
            check_documents(path, text)
        if path != "tools/tidy.py":
            for found in MACHINE_PATHS.finditer(text):
                fault(path, text.count("\n", 0, found.start()) + 1, f"path of one machine: {found.group(0)}")
    check_dead_headers(paths)
    check_unbuilt_sources(texts)
    check_dead_scripts(texts)
    for line in sorted(faults):
        print(line)
    print(f"tidy: {len(paths)} files, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
