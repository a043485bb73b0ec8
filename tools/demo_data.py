"""The data set of the demonstrations: the full one where it is, else the small one of examples/data, else one that is made up."""
import gzip
import json
import operator
import os
import random
import struct

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SETS = [os.path.join(ROOT, "..", "shared", "data", "debian-packages-384"),
        os.path.join(ROOT, "examples", "data", "debian-packages-2k")]
ROWS, DIMENSION, QUESTIONS, NEAREST = 5000, 64, 40, 20
SECTIONS = ["video", "net", "editors", "science", "games", "graphics", "sound", "utils"]


def find(folder=None):
    """Folder, number of vectors and their dimension of the set in this folder, or of the first of the usual ones; None when there
    is none."""
    for candidate in [folder] if folder else SETS:
        path = os.path.join(candidate, "base.f16.gz")
        if os.path.exists(path):
            with gzip.open(path) as file:
                count, dimension = struct.unpack("<II", file.read(8))
            return {"folder": os.path.normpath(candidate), "count": count, "dimension": dimension}
    return None


def find_or_make(folder, made):
    """Like find; when none of the usual sets is there it is one of made-up vectors, in the folder `made`."""
    found = find(folder)
    if found is None and not folder:
        found = find(made)
        if found is None:
            print(f"there is no data set in {' or '.join(SETS)}: {ROWS:,} vectors of {DIMENSION} components are made up", flush=True)
            make(made)
            found = find(made)
    return found


def write(folder, name, data):
    with open(os.path.join(folder, name), "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(data)


def lines(objects):
    return "".join(json.dumps(one) + "\n" for one in objects).encode()


def as_halves(rows):
    return struct.pack("<II", len(rows), DIMENSION) + b"".join(struct.pack(f"<{DIMENSION}e", *row) for row in rows)


def make(folder):
    """A set in the form of examples/data/README.md: a cloud of vectors for each section. Takes a few seconds; always the same."""
    rng, halves = random.Random(1), f"<{DIMENSION}e"
    centres = [[rng.gauss(0, 1) for _ in range(DIMENSION)] for _ in SECTIONS]

    def near(section):  # rounded, so that the exact answers are those of what is stored
        return struct.unpack(halves, struct.pack(halves, *(x + rng.gauss(0, 0.8) for x in centres[section])))

    rows = [near(i % len(SECTIONS)) for i in range(ROWS)]
    questions = [near(i % len(SECTIONS)) for i in range(QUESTIONS)]
    units = []
    for row in rows:
        length = sum(x * x for x in row) ** 0.5
        units.append([x / length for x in row])
    answers = b""
    for question in questions:
        order = sorted(range(ROWS), key=lambda i, q=question: -sum(map(operator.mul, q, units[i])))
        answers += struct.pack(f"<{NEAREST}I", *order[:NEAREST])
    os.makedirs(folder, exist_ok=True)
    write(folder, "payload.jsonl.gz", lines(
        {"name": f"made-up-{i:04}", "section": SECTIONS[i % len(SECTIONS)], "installed_size_kb": rng.randrange(10, 5000),
         "debtags": [f"use::{rng.choice(SECTIONS)}"], "depends_count": rng.randrange(12), "essential": rng.random() < 0.01}
        for i in range(ROWS)))
    write(folder, "queries.jsonl.gz", lines(
        {"id": i, "kind": "question", "text": f'made-up question {i}, like packages of the section "{SECTIONS[i % len(SECTIONS)]}"'}
        for i in range(QUESTIONS)))
    write(folder, "query.f16.gz", as_halves(questions))
    write(folder, "truth.u32.gz", struct.pack("<II", QUESTIONS, NEAREST) + answers)
    write(folder, "base.f16.gz", as_halves(rows))  # last: what `find` goes by
