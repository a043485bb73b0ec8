#!/usr/bin/env python3
"""The blocks of docs/migration.md bring over what the other databases give out: run as they stand, but for addresses, against stand-ins.

The stand-ins answer in the forms of Qdrant's scroll, of Chroma's Collection.get and of psql with row_to_json; the first generation of
Vectron is stood in for by this one, whose answer to a Get it shares.
"""
import json
import os
import re
import subprocess
import sys
import threading
import unittest
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cli_test
from cli_test import BIN

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
with open(os.path.join(ROOT, "docs", "migration.md"), encoding="utf-8") as document:
    SECTIONS = {part.split("\n", 1)[0]: part for part in document.read().split("\n## ")[1:]}
UUID = "5c56c793-69f3-4fbf-87e6-c4bf54c28c26"
CHROMA = '''
import array


class PersistentClient:
    def __init__(self, path):
        assert path == "chroma"

    def get_collection(self, name):
        assert name == "docs"
        return self

    def get(self, include):
        whole = {"ids": ["a", "b"], "embeddings": [array.array("f", [0.1, 0.25]), array.array("f", [3, 4])],
                 "metadatas": [{"x": 1, "y": "z"}, None], "documents": ["one \\u00e9", None]}
        return {**{name: whole[name] if name in include else None for name in whole}, "ids": whole["ids"],
                "uris": None, "data": None, "included": include}
'''
PSQL = r"""#!/bin/bash
[ "$*" = "-At -v FETCH_COUNT=1000 -c select row_to_json(t) from (select id, embedding, title, tags from items where embedding is not null) t" ] || exit 1
cat <<'END'
{"id":1,"embedding":"[0.1,2.5,-3e-05]","title":"A \"quoted\" \\ title\nof two lines","tags":["x","y"]}
{"id":9223372036854775807,"embedding":"[1,2,3]","title":null,"tags":null}
END
"""


class Scroll(BaseHTTPRequestHandler):
    """Qdrant's POST /collections/docs/points/scroll: pages in the order of ids, each with the id that the next one begins with."""

    POINTS = [{"id": i, "payload": {"n": i}, "vector": [i, 0.5]} for i in range(1, 2_101)]
    POINTS += [{"id": 2**64 - 1, "payload": {"whole": 2**53 + 1}, "vector": [1, 2]}, {"id": UUID, "payload": None, "vector": [0.1, 2]}]

    def do_POST(self):  # noqa: N802
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        whole = self.path == "/collections/docs/points/scroll" and asked["with_payload"] is True and asked["with_vector"] is True
        start = 0 if asked["offset"] is None else [point["id"] for point in self.POINTS].index(asked["offset"])
        end = start + asked["limit"]
        points = [{**point, "shard_key": None, "order_value": None} for point in self.POINTS[start:end]]
        answer = {"result": {"points": points, "next_page_offset": self.POINTS[end]["id"] if end < len(self.POINTS) else None},
                  "status": "ok", "time": 0.001}
        self.send_response(200 if whole else 400)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_):
        pass


class Migration(cli_test.CliTest):
    def bring_over(self, section, addresses=None, **environment):
        """Runs the blocks of a section in their order; the collection that it makes, by ids."""
        stand_ins = self.path("stand-ins")
        os.makedirs(stand_ins)
        for name, text in (("chromadb.py", CHROMA), ("psql", PSQL)):
            with open(os.path.join(stand_ins, name), "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(file.name, 0o755)
        environment = {**os.environ, "PATH": f"{stand_ins}:{BIN}:{os.environ['PATH']}", "PYTHONPATH": stand_ins,
                       "VECTRON_HOST": self.server.ready["grpc"], **environment}
        blocks = re.findall(r"(?ms)^```(python)?\n(.*?)^```$", SECTIONS[section])
        self.assertTrue(blocks)
        for language, text in blocks:
            for here, there in (addresses or {}).items():
                self.assertIn(here, SECTIONS[section])
                text = text.replace(here, there)
            program = [sys.executable, "-c"] if language else ["bash", "-euo", "pipefail", "-c"]
            done = subprocess.run([*program, text], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual(done.returncode, 0, text + done.stdout + done.stderr)
        name = re.search(r"vectronctl import (\w+) ", SECTIONS[section]).group(1)
        self.addCleanup(self.ctl, "drop", name, "--yes")
        return {point["id"]: point for point in self.export(name)}

    def test_qdrant(self):
        other = ThreadingHTTPServer(("127.0.0.1", 0), Scroll)
        self.addCleanup(other.server_close)
        threading.Thread(target=other.serve_forever).start()
        self.addCleanup(other.shutdown)
        points = self.bring_over("Qdrant", {"localhost:6333": f"127.0.0.1:{other.server_port}"})
        self.assertEqual(len(points), len(Scroll.POINTS))
        self.assertEqual(points["7"], {"id": "7", "vector": [7, 0.5], "payload": {"n": 7}})
        self.assertEqual(points[str(2**64 - 1)]["payload"], {"whole": 2**53 + 1})
        self.assertEqual(points[UUID]["payload"], {})

    def test_a_saved_page_of_qdrant(self):
        page = {"result": {"points": Scroll.POINTS[-2:], "next_page_offset": None}, "status": "ok", "time": 0.1}
        self.ctl("import", self.name, self.write("docs.json", json.dumps(page).encode()), "--create")
        self.assertEqual({point["id"] for point in self.export()}, {UUID, str(2**64 - 1)})

    def test_qdrant_points_that_have_no_place_here_are_told(self):
        lines = [{"id": 1, "vector": {"text": [1, 2]}}, {"id": 2, "vector": {"text": [1, 2], "image": [3, 4]}},
                 {"id": 3, "vector": {"words": {"indices": [1], "values": [0.5]}}}, {"id": 4, "vector": [[1, 2], [3, 4]]}, {"id": 5, "vector": None}]
        path = self.write("docs.jsonl", self.jsonl(lines))
        said = self.ctl("import", self.name, path, "--create", code=1)[1]
        self.assertIn("2: vector: 2 named vectors; a point has one: export one name at a time", said)
        self.assertIn("3: vector: the named vector is no array (sparse vectors are not kept)", said)
        self.assertRegex(said, r"4: vector\[0\]: wanted a number")
        self.assertEqual([point["id"] for point in self.export()], ["1"])

    def test_chroma(self):
        points = self.bring_over("Chroma")
        self.assertEqual(points["a"]["payload"], {"x": 1, "y": "z", "document": "one \u00e9"})
        self.assertEqual(points["b"], {"id": "b", "vector": [3, 4], "payload": {}})
        self.assertAlmostEqual(points["a"]["vector"][0], 0.1, places=6)

    def test_pgvector(self):
        points = self.bring_over("pgvector")
        self.assertEqual(set(points), {"1", str(2**63 - 1)})
        self.assertEqual(points["1"]["payload"], {"title": "A \"quoted\" \\ title\nof two lines", "tags": ["x", "y"]})
        for component, wanted in zip(points["1"]["vector"], [0.1, 2.5, -3e-05]):
            self.assertAlmostEqual(component, wanted, places=9)

    def test_first_generation(self):
        old = cli_test.Server(self.folder).start()
        self.addCleanup(old.end)
        ids = ["a", "b c/d\u00e9"]
        given = [{"id": name, "vector": [i, 0.5], "payload": {"title": name}} for i, name in enumerate(ids)]
        self.ctl("import", "docs", self.write("old.jsonl", self.jsonl(given)), "--create", server=old)
        self.write("ids.txt", "\n".join(ids).encode())
        points = self.bring_over("Vectron's first generation", {"localhost:8080": old.ready["http"]}, KEY="none")
        self.assertEqual(points, {point["id"]: point for point in given})
        with urllib.request.urlopen(f"http://{old.ready['http']}/v1/collections/docs/points/a") as answer:
            self.assertEqual(set(json.load(answer)), {"point"}, "as the first generation answers")


if __name__ == "__main__":
    unittest.main(verbosity=2)
