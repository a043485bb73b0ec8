"""Filtered searches on real data, through the running server at its default settings: the embeddings, payloads and filters of
debian-packages-384 (../shared/data beside the project, or VECTRON_SHARED). By default a fixed part of it, with the truth by brute force;
VECTRON_FULL_SETS=1 takes all of it, with the truth files, and prints a table."""

import gzip
import heapq
import json
import operator
import os
import struct
import subprocess
import sys
import unittest

from vectron_server import BINARY, ServerTest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.environ.get("VECTRON_SHARED", os.path.join(ROOT, "..", "shared"))
FOLDER = os.path.join(SHARED, "data", "debian-packages-384")
FULL = os.environ.get("VECTRON_FULL_SETS", "") not in ("", "0")
PART_ROWS = 9_000
PART_QUERIES = [*range(0, 12), *range(300, 312)]  # questions, and packages that were held out
K = 10
RECALL = 0.97
NONE = 0xFFFFFFFF  # in a truth file: fewer match
NAME = "packages"


def read(name):
    with gzip.open(os.path.join(FOLDER, name)) as file:
        return file.read()


def rows_of(raw, numbers):
    _, dimension = struct.unpack_from("<II", raw)
    return [struct.unpack_from(f"<{dimension}e", raw, 8 + 2 * dimension * i) for i in numbers]


def values(payload, path):
    """Of a path of one step, which may end in []."""
    value = payload.get(path.removesuffix("[]"))
    return [] if value is None else value if path.endswith("[]") else [value]


def holds(condition, payload):
    found = values(payload, condition["field"])
    if "match" in condition:
        wanted = condition["match"] if isinstance(condition["match"], list) else [condition["match"]]
        return any(value in wanted for value in found)
    bounds = [(getattr(operator, {"gt": "gt", "gte": "ge", "lt": "lt", "lte": "le"}[name]), bound)
              for name, bound in condition["range"].items()]
    return any(all(compare(value, bound) for compare, bound in bounds) for value in found)


def passes(condition, payload):
    should = condition.get("should", [])
    return (all(holds(one, payload) for one in condition.get("must", []))
            and not any(holds(one, payload) for one in condition.get("must_not", []))
            and (not should or any(holds(one, payload) for one in should)))


class Filters(ServerTest):
    @classmethod
    def setUpClass(cls):
        if not os.path.exists(os.path.join(FOLDER, "filters.json")):
            text = f"NOT RUN: no {FOLDER} (set VECTRON_SHARED to the folder above data)"
            print(text, file=sys.stderr)
            raise unittest.SkipTest(text)
        super().setUpClass()
        with open(os.path.join(FOLDER, "filters.json"), encoding="utf-8") as file:
            cls.sets = json.load(file)["sets"]
        cls.payloads = [json.loads(line) for line in read("payload.jsonl.gz").splitlines()]
        cls.base = read("base.f16.gz")
        count, dimension = struct.unpack_from("<II", cls.base)
        cls.count = count if FULL else PART_ROWS
        part = os.path.join(cls.folder, "part.f16")
        with open(part, "wb") as file:
            file.write(struct.pack("<II", cls.count, dimension) + cls.base[8:8 + 2 * dimension * cls.count])
        payload_file = os.path.join(cls.folder, "payload.jsonl")
        with open(payload_file, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(payload) + "\n" for payload in cls.payloads[:cls.count])
        command = [os.path.join(os.path.dirname(BINARY), "vectronctl"), "--host", cls.server.ready["grpc"], "import", NAME, part,
                   "--payload", payload_file, "--create", "--distance", "cosine", "--wait"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        cls.queries = list(range(1000)) if FULL else PART_QUERIES
        cls.vectors = dict(zip(cls.queries, rows_of(read("query.f16.gz"), cls.queries)))

    def distances(self):
        """Of every query, by row: what a plain scan computes, but for the query's length, which changes no order."""
        rows = rows_of(self.base, range(self.count))
        lengths = [sum(map(operator.mul, row, row)) ** 0.5 for row in rows]
        return {query: [-sum(map(operator.mul, vector, row)) / length for row, length in zip(rows, lengths)]
                for query, vector in self.vectors.items()}

    def truth(self):
        """truth(set, query): the ids of the nearest K that pass."""
        if FULL:
            files = {}
            for one in self.sets:
                raw = read(one["truth"])
                _, k = struct.unpack_from("<II", raw)
                files[one["name"]] = [struct.unpack_from(f"<{K}I", raw, 8 + 4 * k * query) for query in self.queries]
            return lambda one, query: [i for i in files[one["name"]][query] if i != NONE]
        distances = self.distances()

        def nearest(one, query):
            by_distance = distances[query]
            wanted = one["filters"][one["of_query"][query]]["filter"]
            matching = [i for i in range(self.count) if passes(wanted, self.payloads[i])]
            return heapq.nsmallest(K, matching, key=lambda i: (by_distance[i], i))
        return nearest

    def search(self, one, query, exact):
        body = {"filter": one["filters"][one["of_query"][query]]["filter"], "topK": K, "includeMetadata": False}
        if exact:
            body["params"] = {"exact": True}
        return [int(hit["id"]) for hit in self.ok(self.api.search(NAME, self.vectors[query], **body))["results"]]

    def test_every_set_is_found_and_nothing_else(self):
        truth = self.truth()
        table = []
        for one in self.sets:
            found = wanted = 0
            for query in self.queries:
                nearest = truth(one, query)
                condition = one["filters"][one["of_query"][query]]["filter"]
                answer = self.search(one, query, exact=False)
                self.assertEqual(len(set(answer)), len(nearest), (one["name"], query))
                self.assertEqual([i for i in answer if not passes(condition, self.payloads[i])], [], (one["name"], query))
                self.assertEqual(set(self.search(one, query, exact=True)), set(nearest), (one["name"], query))
                found += len(set(answer) & set(nearest))
                wanted += len(nearest)
            recall = found / wanted if wanted else 1.0
            table.append(f"| `{one['name']}` | {recall:.4f} |")
            self.assertGreaterEqual(recall, RECALL, one["name"])
        if FULL:
            print("\n".join(["", "| filter set | recall@10 |", "|---|---|", *table]), file=sys.stderr)
