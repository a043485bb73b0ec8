#!/usr/bin/env python3
"""vectronctl against a real server on free ports. Needs VECTRON_BIN_DIR with `vectron` and `vectronctl`; standard library only."""
import gzip
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import types
import unittest
import urllib.request

BIN = os.environ.get("VECTRON_BIN_DIR", "")
SEED = int(os.environ.get("VECTRON_TEST_SEED", random.SystemRandom().randrange(1 << 32)))


class Server:
    """A `vectron dev` process; started again on the same ports and data by `start`."""

    def __init__(self, folder, auth=("--auth", "off")):
        self.folder, self.auth, self.process, self.ready = folder, auth, None, None

    def start(self):
        grpc, http = (self.ready["grpc"], self.ready["http"]) if self.ready else ("127.0.0.1:0", "127.0.0.1:0")
        with open(os.path.join(self.folder, "server.log"), "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(BIN, "vectron"), "dev", "--data", os.path.join(self.folder, "data"), "--grpc", grpc, "--http", http,
                 *self.auth], stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        if not line:
            with open(os.path.join(self.folder, "server.log"), encoding="utf-8", errors="replace") as log:
                raise RuntimeError("the server did not start:\n" + log.read()[-4000:])
        self.ready = json.loads(line)
        return self

    def end(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(60)
        if self.process:
            self.process.stdout.close()


class CliTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}", file=sys.stderr)
        cls.root = tempfile.mkdtemp(prefix="vectron-cli-")
        cls.server = Server(cls.root).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.end()
        shutil.rmtree(cls.root)

    def setUp(self):
        self.folder = tempfile.mkdtemp(dir=self.root)
        self.rng = random.Random(f"{SEED}-{self.id()}")
        self.name = self.id().rsplit(".", 1)[1]  # a collection of its own

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        with (gzip.open if name.endswith(".gz") else open)(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def command(self, *arguments, server=None):
        return [os.path.join(BIN, "vectronctl"), "--host", (server or self.server).ready["grpc"], *map(str, arguments)]

    def ctl(self, *arguments, code=0, stdin=None, server=None, cwd=None):
        """Runs vectronctl, checks its exit code, returns (standard output, standard error)."""
        run = subprocess.run(self.command(*arguments, server=server), input=stdin, capture_output=True, text=True, timeout=120,
                             check=False, cwd=cwd)
        self.assertEqual(run.returncode, code, f"{arguments}\n{run.stdout}\n{run.stderr}")
        return run.stdout, run.stderr

    def json(self, *arguments, **options):
        return json.loads(self.ctl("--json", *arguments, **options)[0])

    def export(self, name=None, *arguments, server=None):
        lines = self.ctl("export", name or self.name, *arguments, server=server)[0].splitlines()
        return [json.loads(line) for line in lines]

    def lines(self, count, dimension=8):
        """Points with exact components and a payload of several types."""
        return [{"id": f"p{i:05}", "vector": [self.rng.randrange(-128, 128) / 16 for _ in range(dimension)],
                 "payload": {"n": i, "even": i % 2 == 0, "half": i / 2 + 0.25, "tags": ["a", f"t{i % 3}"], "name": f"n\u00e4me {i}"}}
                for i in range(count)]

    def jsonl(self, points):
        return "".join(json.dumps(point) + "\n" for point in points).encode()


class Collections(CliTest):
    def test_life_of_a_collection(self):
        self.ctl("create", self.name, "--dim", 3, "--distance", "cosine", "--index", "section:KEYWORD", "--index", "n:integer", "--m", 8)
        self.assertIn(self.name, self.ctl("list")[0])
        self.assertIn(self.name, self.json("list")["collections"])
        text = self.ctl("describe", self.name)[0]
        self.assertRegex(text, r"3 components, cosine distance")
        self.assertIn("section (keyword), n (integer)", text)
        self.assertIn("points     0, all indexed", text)
        status = self.json("describe", self.name)
        self.assertEqual((status["dimension"], status["options"]["hnsw"]["m"]), (3, 8))
        self.assertIn("already", self.ctl("create", self.name, "--dim", 3, code=1)[1].lower())
        self.assertIn("--yes", self.ctl("drop", self.name, code=2, stdin="")[1])
        self.ctl("drop", self.name, "--yes")
        self.assertIn("vectronctl list", self.ctl("describe", self.name, code=1)[1])

    def test_wrong_command_lines_end_with_2(self):
        for arguments in ([], ["fly"], ["create", "x"], ["create", "x", "--dim", "0"], ["search", "x"],
                          ["create", "x", "--dim", "3", "--index", "a:number"], ["search", "x", "--id", "1", "--filter", "{"], ["search", "x", "--vector", "1,x"]):
            self.ctl(*arguments, code=2)

    def test_without_a_command_it_says_what_there_is(self):
        self.assertIn("import", self.ctl(code=2)[1])
        self.assertIn("no command 'fly'", self.ctl("fly", "--json", code=2)[1])
        self.assertIn("no command 'help'", self.ctl("help", code=2)[1])
        self.assertRegex(self.ctl("--version")[0], r"^vectronctl \d+\.\d+\.\d+")
        self.assertIn("needs one of", self.ctl("search", "x", code=2)[1])
        self.assertIn("takes only one of", self.ctl("search", "x", "--id", "1", "--vector", "1,2", code=2)[1])

    def test_a_wrong_command_line_is_told_in_one_line_that_says_what_to_do(self):
        for arguments, said in {
            ("--high",): "no option '--high'; `vectronctl --help` lists them",
            ("creat", "x"): "no command 'creat'; did you mean create? `vectronctl --help` lists them",
            ("create", "x", "--dimm=3", "--dim", "3"): "no option '--dimm'; did you mean --dim? `vectronctl create --help` lists them",
            ("list", "x"): "'x' is one argument too many (`vectronctl list --help` says more)",
            ("create", "x"): "--dim is required (`vectronctl create --help` says more)",
        }.items():
            self.assertEqual(self.ctl(*arguments, code=2), ("", f"vectronctl: {said}\n"))

    def test_every_command_has_help_of_lines_that_fit(self):
        listed = self.ctl("--help")[0].split("Subcommands:")[1]
        names = re.findall(r"(?m)^  ([a-z]+) {2,}[A-Z]", listed)
        self.assertIn("import", names)
        for line in listed.splitlines():
            self.assertLessEqual(len(line), 120, line)
        for name in names:
            self.assertIn(f"Usage: vectronctl {name}", self.ctl(name, "--help")[0])

    def test_an_address_that_is_none_is_told_before_anything_is_asked(self):
        for address in ("localhost", "http://127.0.0.1:8081", "127.0.0.1:"):
            wrong = subprocess.run([os.path.join(BIN, "vectronctl"), "list"], env={**os.environ, "VECTRON_HOST": address},
                                   capture_output=True, text=True, check=False)
            self.assertEqual(wrong.returncode, 2)
            self.assertEqual(wrong.stderr, f"vectronctl: '{address}' is no address of gRPC: wanted HOST:PORT, such as 127.0.0.1:8081\n")

    def test_says_how_to_start_a_server_when_there_is_none(self):
        run = subprocess.run([os.path.join(BIN, "vectronctl"), "--host", "127.0.0.1:1", "list"], capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn("vectron dev", run.stderr)


class Assistants(CliTest):
    def test_the_last_line_needs_no_end(self):
        asked = '{"jsonrpc":"2.0","id":1,"method":"ping"}\n[{"jsonrpc":"2.0","id":2,"method":"ping"}]'
        answers = [json.loads(line) for line in self.ctl("mcp", stdin=asked)[0].splitlines()]
        self.assertEqual(answers, [{"jsonrpc": "2.0", "id": 1, "result": {}}, [{"jsonrpc": "2.0", "id": 2, "result": {}}]])


class Import(CliTest):
    def test_every_format_gives_the_same_points(self):
        rows = [[self.rng.randrange(0, 200) for _ in range(4)] for _ in range(30)]
        flat = [x for row in rows for x in row]
        header = str({"descr": "<f8", "fortran_order": False, "shape": (30, 4)}).encode().ljust(117) + b"\n"
        files = {
            "a.fvecs": b"".join(struct.pack("<i4f", 4, *row) for row in rows),
            "a.bvecs.gz": b"".join(struct.pack("<i4B", 4, *row) for row in rows),
            "a.npy": b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack("<120d", *flat),
            "a.f16.gz": struct.pack("<II120e", 30, 4, *flat),
            "a.jsonl": b"".join(json.dumps({"vector": row}).encode() + b"\n" for row in rows),
        }
        for number, (name, data) in enumerate(files.items()):
            collection = f"{self.name}-{number}"
            out = self.ctl("import", collection, self.write(name, data), "--create", "--id-prefix", "r-")[0]
            self.assertIn("30 points written", out)
            points = {point["id"]: point["vector"] for point in self.export(collection)}
            self.assertEqual(points, {f"r-{i}": row for i, row in enumerate(rows)}, name)

    def test_payload_file_beside_vectors(self):
        vectors = self.write("a.fvecs", b"".join(struct.pack("<iff", 2, i + 1, 1) for i in range(20)))
        payload = self.write("p.jsonl.gz", b"".join(json.dumps({"n": i}).encode() + b"\n" for i in range(20)))
        self.ctl("import", self.name, vectors, "--payload", payload, "--create", "--index", "n:integer")
        self.assertEqual({p["id"]: p["payload"]["n"] for p in self.export()}, {str(i): i for i in range(20)})

    def test_goes_on_behind_bad_lines_and_reports_them(self):
        good = self.lines(5, 2)
        text = self.jsonl(good[:2]) + b"{\"vector\": [1, }\n" + self.jsonl(good[2:4]) + b"{\"vector\": [1]}\n" + self.jsonl(good[4:])
        out, err = self.ctl("import", self.name, self.write("a.jsonl", text), "--create", "--dim", 2, code=1)
        self.assertRegex(err, r"a\.jsonl:3: no valid JSON: malformed JSON at byte 15")
        self.assertRegex(err, r"a\.jsonl:6: 1 components, the collection wants 2")
        self.assertIn("2 bad rows", out)
        self.assertEqual([p["id"] for p in self.export()], [p["id"] for p in good])

    def test_points_the_server_refuses_do_not_hold_up_the_others(self):
        points = self.lines(100, 2)
        for refused in (13, 77):
            points[refused]["vector"] = [0, 0]  # has no direction
        out, err = self.ctl("import", self.name, self.write("a.jsonl", self.jsonl(points)), "--create", "--distance", "cosine", code=1)
        self.assertEqual(sorted(int(line) for line in re.findall(r"a\.jsonl:(\d+):", err)), [14, 78])
        self.assertIn("98 points written", out)
        self.assertEqual(len(self.export()), 98)

    def test_reads_standard_input(self):
        self.ctl("import", self.name, "-", "--create", "--dim", 8, stdin=self.jsonl(self.lines(50)).decode())
        self.assertEqual(len(self.export()), 50)

    def test_a_cut_file_is_an_error_and_what_was_read_is_written(self):
        data = b"".join(struct.pack("<iff", 2, i + 1, 1) for i in range(20))
        _, err = self.ctl("import", self.name, self.write("a.fvecs", data[:-3]), "--create", code=1)
        self.assertRegex(err, r"row 19 at byte \d+: the file ends")
        self.assertIn(f"19 points were written to '{self.name}' before that", err)
        self.assertEqual(len(self.export()), 19)

    def test_a_file_that_cannot_be_read_is_all_that_is_told(self):
        for name, why in (("nowhere.jsonl", "there is no such file"), ("data.csv", "unknown kind of file")):
            said = self.ctl("import", self.name, self.path(name), "--create", code=1)[1]
            self.assertRegex(said, rf"^vectronctl: .*{name}: {why}.*\n$")

    def test_promises_to_go_on_only_where_progress_is_kept(self):
        nobody = types.SimpleNamespace(ready={"grpc": "127.0.0.1:1"})
        said = self.ctl("import", self.name, "-", stdin="", server=nobody, code=1)[1]
        self.assertIn("cannot be reached", said)
        self.assertNotIn("goes on", said)

    def test_a_killed_import_goes_on_where_it_was(self):
        count = 6_000
        path = self.write("a.fvecs", b"".join(struct.pack("<i4f", 4, i, 1, 2, 3) for i in range(count)))
        arguments = ["import", self.name, path, "--create", "--batch", "5", "--in-flight", "1", "--resume", self.path("state")]
        client = subprocess.Popen(self.command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while client.poll() is None:
            try:
                with open(self.path("state"), encoding="utf-8") as file:
                    if json.load(file)["rows_done"] > 0:
                        break
            except (OSError, ValueError):
                pass
            time.sleep(0.01)
        finished = client.poll() is not None
        client.kill()
        client.wait()
        err = self.ctl("import", self.name, path, "--resume", self.path("state"))[1]
        if not finished:
            self.assertIn("going on behind row", err)
        self.assertFalse(os.path.exists(self.path("state")))
        self.assertEqual(sorted(int(p["id"]) for p in self.export(self.name, "--without-vectors")), list(range(count)))

    def test_a_changed_file_is_not_gone_on_with(self):
        path = self.write("a.jsonl", self.jsonl(self.lines(3)) + b"{\n")
        state = f"{path}.{self.name}.import"
        self.ctl("import", self.name, path, "--create", "--max-errors", 0, code=1)
        self.assertTrue(os.path.exists(state))
        self.write("a.jsonl", self.jsonl(self.lines(4)))
        self.assertIn("has changed", self.ctl("import", self.name, path, code=1)[1])
        os.remove(state)
        self.ctl("import", self.name, path)

    def test_a_file_of_the_folder_it_runs_in(self):
        self.write("a.jsonl", self.jsonl(self.lines(3)) + b"{\n")
        arguments = ("import", self.name, "a.jsonl", "--create")
        err = self.ctl(*arguments, "--max-errors", 0, code=1, cwd=self.folder)[1]
        self.assertNotIn("cannot go on", err)
        self.assertTrue(os.path.exists(self.path(f"a.jsonl.{self.name}.import")))
        err = self.ctl("import", self.name, "./a.jsonl", code=1, cwd=self.folder)[1]  # the same file by another name
        self.assertNotIn("remove this file", err)
        self.assertEqual(len(self.export()), 3)
        self.assertEqual(os.listdir(self.folder), ["a.jsonl"])

    def test_outlives_a_crash_of_the_server(self):
        folder = tempfile.mkdtemp(dir=self.root)
        server = Server(folder).start()
        try:
            count = 4_000
            path = self.write("a.fvecs", b"".join(struct.pack("<i4f", 4, i, 1, 2, 3) for i in range(count)))
            client = subprocess.Popen(self.command("import", self.name, path, "--create", "--batch", "5", server=server),
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            while client.poll() is None and (not os.path.exists(f"{path}.{self.name}.import") or self.count(server) < 100):
                time.sleep(0.01)
            server.end(signal.SIGKILL)
            server.start()
            out, err = client.communicate(timeout=120)
            self.assertEqual(client.returncode, 0, err)
            self.assertIn("4,000 points written", out)
            self.assertEqual(sorted(int(p["id"]) for p in self.export(self.name, "--without-vectors", server=server)), list(range(count)))
        finally:
            server.end(signal.SIGKILL)

    def count(self, server):
        run = subprocess.run(self.command("--json", "describe", self.name, server=server), capture_output=True, text=True, check=False)
        return int(json.loads(run.stdout)["pointCount"]) if run.returncode == 0 else 0


class Points(CliTest):
    def load(self, count=200, *arguments):
        points = self.lines(count)
        self.ctl("import", self.name, self.write("a.jsonl", self.jsonl(points)), "--create", *arguments)
        return points

    @staticmethod
    def nearest(points, vector, k):
        distance = lambda p: sum((a - b) ** 2 for a, b in zip(p["vector"], vector))
        return [p["id"] for p in sorted(points, key=lambda p: (distance(p), p["id"]))[:k]]

    def search(self, *arguments, stdin=None):
        return [hit["id"] for hit in self.json("search", self.name, *arguments, stdin=stdin)["results"]]

    def test_search_by_vector_file_and_point(self):
        points = self.load()
        vector = points[7]["vector"]
        text = ",".join(map(str, vector))
        wanted = self.nearest(points, vector, 5)
        self.assertEqual(self.search(f"--vector={text}", "-k", 5), wanted)
        self.assertEqual(self.search("--vector-file", "-", "-k", 5, "--exact", stdin=json.dumps(vector)), wanted)
        self.assertEqual(self.search("--id", "p00007", "-k", 4), [i for i in wanted if i != "p00007"][:4])
        self.assertEqual(self.search(f"--vector={text}", "-k", 3, "--offset", 2, "--consistency", "bounded"), wanted[2:5])

    def test_search_with_a_filter_and_an_explanation(self):
        points = self.load(200, "--index", "n:integer")
        filter_text = json.dumps({"must": [{"field": "n", "range": {"gte": 100}}, {"field": "even", "match": True}]})
        kept = [p for p in points if p["payload"]["n"] >= 100 and p["payload"]["even"]]
        vector = points[0]["vector"]
        text = ",".join(map(str, vector))
        self.assertEqual(self.search(f"--vector={text}", "--filter", filter_text), self.nearest(kept, vector, 10))
        out = self.ctl("search", self.name, f"--vector={text}", "--filter", filter_text, "--explain", "--with-vectors")[0]
        self.assertRegex(out, r"shard 0: \w+ \(.+\), \d+ us")
        with open(self.path("f.json"), "w", encoding="utf-8") as file:
            file.write(filter_text)
        self.assertEqual(self.search(f"--vector={text}", "--filter", "@" + self.path("f.json")), self.nearest(kept, vector, 10))
        wrong = self.ctl("search", self.name, f"--vector={text}", "--filter", '{"must":[{"field":"n","match":1}', code=2)[1]
        self.assertRegex(wrong, r"^vectronctl: filter: malformed JSON at byte \d+.*\n$")

    def test_get_and_delete(self):
        points = self.load(5)
        self.assertEqual(json.loads(self.ctl("--json", "get", self.name, "p00003")[0]), points[3])
        self.assertEqual(self.ctl("delete", self.name, "p00003", "p00004")[0], "2 points deleted\n")
        missing = self.ctl("get", self.name, "p00003", code=1)[1]
        self.assertIn("has no point 'p00003'", missing)
        self.assertNotIn("vectronctl list", missing)  # the collection is there
        self.assertIn("vectronctl list", self.ctl("get", "nowhere", "p00003", code=1)[1])
        self.assertEqual([p["id"] for p in self.export()], ["p00000", "p00001", "p00002"])
        self.assertEqual(self.ctl("delete", self.name, "p00003")[0], "0 points deleted, 1 was not there\n")
        out = self.ctl("--json", "delete", self.name, "p00000", "p00003", "never")[0]
        self.assertEqual(json.loads(out), {"deleted": 1, "missing": 2})
        self.assertIn("does not exist", self.ctl("delete", "nowhere", "p00000", code=1)[1])

    def test_export_and_import_are_inverse(self):
        points = self.load(2_500, "--shards", 3)
        self.assertEqual(self.export(), points)  # in order of ids, several pages, several shards
        self.ctl("export", self.name, self.path("out.jsonl.gz"))
        self.ctl("drop", self.name, "--yes")
        self.ctl("import", self.name, self.path("out.jsonl.gz"), "--create", "--shards", 2)
        self.assertEqual(self.export(), points)

    NUMBERS = {"over": 2**53 + 1, "under": -(2**53) - 1, "most": 2**63 - 1, "least": -(2**63), "small": 0.1234567890123456789,
               "in": [{"deep": 2**53 + 3}, 1e300, 1.5], "zero": 0, "text": str(2**53 + 1)}

    def http(self, method, path, body=None):
        request = urllib.request.Request(f"http://{self.server.ready['http']}/v1/collections/{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def test_export_and_import_keep_every_number_that_http_takes(self):
        point = {"id": "p", "vector": [1.0, 2.0], "payload": self.NUMBERS}
        for name in (self.name, self.name + "-2"):
            self.ctl("create", name, "--dim", 2)
        self.http("POST", f"{self.name}/points", {"points": [point]})
        self.ctl("export", self.name, self.path("out.jsonl"))
        with open(self.path("out.jsonl"), encoding="utf-8") as file:
            self.assertEqual(json.load(file), point)
        self.ctl("import", self.name + "-2", self.path("out.jsonl"))
        for name in (self.name, self.name + "-2"):
            self.assertEqual(self.http("GET", f"{name}/points/p")["point"]["payload"], self.NUMBERS)
            self.assertEqual(self.json("get", name, "p")["payload"], self.NUMBERS)

    def test_a_filter_finds_whole_numbers_by_all_their_digits(self):
        self.ctl("create", self.name, "--dim", 2)
        numbers = [2**53, 2**53 + 1, 2**53 + 2, 2**63 - 1, -(2**63), 0.1234567890123456789]
        self.http("POST", f"{self.name}/points", {"points": [
            {"id": f"p{i}", "vector": [1.0, i], "payload": {"n": number}} for i, number in enumerate(numbers)]})
        for i, number in enumerate(numbers):
            match = json.dumps({"must": [{"field": "n", "match": number}]})
            found = self.json("search", self.name, "--vector", "1,0", "--filter", match)["results"]
            self.assertEqual([(hit["id"], hit["payload"]) for hit in found], [(f"p{i}", {"n": number})])
            self.assertEqual([p["id"] for p in self.export(self.name, "--filter", match)], [f"p{i}"])

    def test_export_with_a_filter(self):
        points = self.load(300)
        some = self.export(self.name, "--filter", json.dumps({"must": [{"field": "tags[]", "match": "t1"}]}), "--without-vectors")
        self.assertEqual(some, [{"id": p["id"], "payload": p["payload"]} for p in points if p["payload"]["n"] % 3 == 1])

    def test_bench_says_when_there_is_no_such_collection(self):
        queries = self.write("q.fvecs", struct.pack("<i2f", 2, 1, 2))
        for protocol in ("grpc", "http"):
            err = self.ctl("bench", "nowhere", "--queries", queries, "--protocol", protocol, "--http", self.server.ready["http"], code=1)[1]
            self.assertRegex(err, r"^vectronctl: collection 'nowhere' does not exist")

    def test_bench_takes_a_filter_from_a_file(self):
        points = self.load(50)
        queries = self.write("q.fvecs", struct.pack("<i8f", 8, *points[0]["vector"]))
        with open(self.path("f.json"), "w", encoding="utf-8") as file:
            json.dump({"must": [{"field": "even", "match": True}]}, file)
        for protocol in ("grpc", "http"):
            result = self.json("bench", self.name, "--queries", queries, "--seconds", "0.1", "--clients", 1, "--protocol", protocol,
                               "--http", self.server.ready["http"], "--filter", "@" + self.path("f.json"))
            self.assertEqual(result["errors"], 0)

    def test_bench_measures_recall_over_both_protocols(self):
        points = self.load(500)
        queries = [p["vector"] for p in points[:20]]
        numbers = {p["id"]: i for i, p in enumerate(points)}
        path = self.write("q.fvecs", b"".join(struct.pack("<i8f", 8, *q) for q in queries))
        truth = [[numbers[i] for i in self.nearest(points, q, 10)] for q in queries]
        truth_path = self.write("t.u32", struct.pack("<II", 20, 10) + b"".join(struct.pack("<10I", *row) for row in truth))
        vectors = self.write("b.fvecs", b"".join(struct.pack("<i8f", 8, *p["vector"]) for p in points))
        self.ctl("import", self.name + "-rows", vectors, "--create")
        for protocol in ("grpc", "http"):
            result = self.json("bench", self.name + "-rows", "--queries", path, "--truth", truth_path, "--seconds", "0.3", "--clients", 2,
                               "--protocol", protocol, "--http", self.server.ready["http"], "--exact", "--consistency", "eventual", "--pid", self.server.process.pid)
            self.assertEqual((result["recall"], result["errors"]), (1.0, 0), result)
            self.assertGreater(result["qps"], 0)
            self.assertGreater(result["server_cpu_us_per_query"], 0)


class ServerCommandLine(unittest.TestCase):
    """`vectron`, where it starts nothing."""

    def vectron(self, *arguments, code):
        run = subprocess.run([os.path.join(BIN, "vectron"), *arguments], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(run.returncode, code, run.stdout + run.stderr)
        return run.stdout, run.stderr

    def test_a_wrong_one_is_told_in_one_line_that_says_what_to_do(self):
        for arguments, said in {
            ("devv",): "no command 'devv'; did you mean dev? `vectron --help` lists them",
            ("dev",): "--data is required (`vectron dev --help` says more)",
            ("dev", "--data", "d", "--htp", "x"): "no option '--htp'; did you mean --http? `vectron dev --help` lists them",
            ("dev", "--data", "d", "--auth", "maybe"): "--auth: maybe not in {on,off} (`vectron dev --help` says more)",
            ("recover",): "--data is required (`vectron recover --help` says more)",
        }.items():
            program = "vectron recover" if arguments[0] == "recover" else "vectron"
            self.assertEqual(self.vectron(*arguments, code=2), ("", f"{program}: {said}\n"))
        self.assertIn("--cluster-secret-file or", self.vectron("recover", "--data", "d", "--placement", "127.0.0.1:1", code=2)[1])

    def test_every_command_has_help(self):
        listed = self.vectron("--help", code=0)[0]
        for role in re.findall(r"(?m)^  ([a-z]+) {2,}[A-Z]", listed.split("Subcommands:")[1]):
            self.assertIn(f"Usage: vectron {role}", self.vectron(role, "--help", code=0)[0])
        self.assertIn("vectron config --help", listed)
        for arguments in (("--help",), ("check", "--help"), ("reference", "-h")):
            self.assertIn("vectron config check ROLE", self.vectron("config", *arguments, code=0)[0])
        self.assertIn("--search-only", self.vectron("config", "check", "worker", "--help", code=0)[0])
        self.vectron("config", code=2)


class TenantTest(unittest.TestCase):
    def test_an_administrator_says_whose_collection_is_meant(self):
        root = tempfile.mkdtemp(prefix="vectron-cli-")
        self.addCleanup(shutil.rmtree, root)
        server = Server(root, ("--auth", "on", "--auth-login-per-minute", "0", "--auth-register-per-minute", "0")).start()
        self.addCleanup(server.end)
        with open(os.path.join(root, "data", "bootstrap.secret"), encoding="utf-8") as file:
            secret = file.read().strip()

        def post(path, body, headers=()):
            request = urllib.request.Request(f"http://{server.ready['http']}/v1/users/{path}", json.dumps(body).encode(), dict(headers))
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)

        def account(name, headers=()):
            login = {"email": f"{name}@example.org", "password": "Passw0rd!"}
            return post("register", login, headers)["user"]["id"], post("login", login)["jwtToken"]

        def ctl(token, *arguments, code=0):
            command = [os.path.join(BIN, "vectronctl"), "--host", server.ready["grpc"], "--json", *map(str, arguments)]
            done = subprocess.run(command, env={**os.environ, "VECTRON_API_KEY": token}, capture_output=True, text=True, timeout=60,
                                  check=False)
            self.assertEqual(done.returncode, code, done.stderr)
            return done

        _, root_token = account("root", {"x-vectron-bootstrap": secret})
        users = [account(name) for name in ("ada", "bob")]
        for dimension, (_, token) in enumerate(users, 1):
            ctl(token, "create", "same", "--dim", dimension)
        self.assertIn("x-vectron-tenant", ctl(root_token, "describe", "same", code=1).stderr)
        for dimension, (user, _) in enumerate(users, 1):
            self.assertEqual(json.loads(ctl(root_token, "--tenant", user, "describe", "same").stdout)["dimension"], dimension)


if __name__ == "__main__":
    del CliTest  # a base, not a test
    unittest.main(verbosity=2)
