#!/usr/bin/env python3
"""Cuts examples/data/debian-packages-2k out of the full debian-packages-384 data set. Needs the standard library only.

    tools/make_example_data.py SOURCE TARGET

Takes every sixth written question (50 of them), the 20 nearest packages of each, and random other packages up to 2,000 rows; then
computes the exact 100 nearest of the chosen rows anew. The same source gives the same files.
"""
import gzip
import json
import os
import random
import struct
import sys

ROWS, QUESTIONS, STEP, NEAREST, K = 2000, 50, 6, 20, 100


def read(path):
    with gzip.open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(data)


def rows_of(raw, numbers):
    """The float16 rows as stored, and their dimension."""
    _, dim = struct.unpack_from("<II", raw)
    return [raw[8 + 2 * dim * i:8 + 2 * dim * (i + 1)] for i in numbers], dim


def main(source, target):
    os.makedirs(target, exist_ok=True)
    questions = [STEP * i for i in range(QUESTIONS)]
    truth = read(os.path.join(source, "truth.u32.gz"))
    _, k = struct.unpack_from("<II", truth)
    chosen = set()
    for question in questions:
        chosen.update(struct.unpack_from(f"<{NEAREST}I", truth, 8 + 4 * k * question))
    base = read(os.path.join(source, "base.f16.gz"))
    count, _ = struct.unpack_from("<II", base)
    rng = random.Random(1)
    while len(chosen) < ROWS:
        chosen.add(rng.randrange(count))
    numbers = sorted(chosen)
    rows, dim = rows_of(base, numbers)
    queries, _ = rows_of(read(os.path.join(source, "query.f16.gz")), questions)
    write(os.path.join(target, "base.f16.gz"), struct.pack("<II", ROWS, dim) + b"".join(rows))
    write(os.path.join(target, "query.f16.gz"), struct.pack("<II", QUESTIONS, dim) + b"".join(queries))

    payload = read(os.path.join(source, "payload.jsonl.gz")).splitlines(keepends=True)
    write(os.path.join(target, "payload.jsonl.gz"), b"".join(payload[i] for i in numbers))
    about = [json.loads(line) for line in read(os.path.join(source, "queries.jsonl.gz")).splitlines()]
    lines = [json.dumps({**about[q], "id": i}, separators=(",", ":")) + "\n" for i, q in enumerate(questions)]
    write(os.path.join(target, "queries.jsonl.gz"), "".join(lines).encode())

    vectors = [struct.unpack(f"<{dim}e", row) for row in rows]
    norms = [sum(x * x for x in v) ** 0.5 for v in vectors]
    answers = struct.pack("<II", QUESTIONS, K)
    for query in queries:
        q = struct.unpack(f"<{dim}e", query)
        order = sorted((-sum(a * b for a, b in zip(q, v)) / norm, i) for i, (v, norm) in enumerate(zip(vectors, norms)))
        answers += struct.pack(f"<{K}I", *(i for _, i in order[:K]))
    write(os.path.join(target, "truth.u32.gz"), answers)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
