"""The program itself: flags, the ready line, the lock of its folder, stopping, and what a restart finds."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

from vectron_server import BINARY, NOT_FOUND, Server, StartFailed


def run(*args):
    return subprocess.run([BINARY, *args], capture_output=True, text=True, timeout=60)


class Flags(unittest.TestCase):
    def test_version_and_help(self):
        self.assertRegex(run("--version").stdout, r"^vectron \d+\.\d+\.\d+\n$")
        self.assertIn("dev", run("--help").stdout)
        self.assertIn("--data", run("dev", "--help").stdout)

    def test_bad_usage_is_told(self):
        for args, part in [((), "dev"), (("dev",), "--data"), (("nope",), "nope"),
                           (("dev", "--data", "x", "--auth", "maybe"), "maybe"),
                           (("dev", "--data", "x", "--auth", "off", "--http", "0.0.0.0:0"), "loopback"),
                           (("dev", "--data", "x", "--auth", "off", "--grpc", "[::]:0"), "loopback"),
                           (("dev", "--data", "x", "--auth", "off", "--http", "example"), "HOST:PORT"),
                           (("dev", "--data", "x", "--allow-origin", "*"), "--allow-origin"),
                           (("dev", "--data", "x", "--allow-origin", "https://a/b"), "https://a/b")]:
            with self.subTest(args=args):
                result = run(*args)
                self.assertEqual(result.returncode, 2, result)
                self.assertEqual(result.stdout, "")
                self.assertIn(part, result.stderr)


class Process(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vectron-api-")
        self.data = os.path.join(self.folder, "data")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def batch(self):
        return [{"id": f"p{i}", "vector": [i, 1, i % 3, -1], "payload": {"n": i, "s": f"text {i}"}} for i in range(500)]

    def fill(self, api):
        api.create("one", 4, distance="cosine")
        api.create("four", 4, shardCount=4, payloadIndexes=[{"field": "n", "type": "INTEGER"}])
        api.create("gone", 4)
        for name in ("one", "four"):
            assert api.upsert(name, self.batch(), requestId="bulk").status == 200
            for i in range(0, 500, 7):
                assert api.delete(name, f"p{i}").status == 200
        assert api.drop("gone").status == 200

    def test_pages_of_allowed_origins_may_call(self):
        origin = "https://app.example.org"
        server = Server(self.data, args=["--allow-origin", origin, "--allow-origin", "http://other.example:3000"])
        api = server.client()
        asked = api.call("OPTIONS", "/v1/collections", None, {"Origin": origin, "Access-Control-Request-Method": "POST",
                                                               "Access-Control-Request-Headers": "authorization,content-type"})
        self.assertEqual(asked.status, 204)
        self.assertEqual(asked.headers["Access-Control-Allow-Origin"], origin)
        self.assertIn("POST", asked.headers["Access-Control-Allow-Methods"])
        self.assertIn("authorization", asked.headers["Access-Control-Allow-Headers"])
        made = api.call("POST", "/v1/collections", {"name": "c", "dimension": 2}, {"Origin": origin})
        self.assertEqual((made.status, made.headers["Access-Control-Allow-Origin"], made.headers["Vary"]), (200, origin, "Origin"))
        wrong = api.call("GET", "/v1/collections/none/status", None, {"Origin": origin})
        self.assertEqual((wrong.status, wrong.headers["Access-Control-Allow-Origin"]), (404, origin))
        other = api.call("GET", "/v1/collections", None, {"Origin": "https://evil.example"})
        self.assertEqual(other.status, 403)
        self.assertNotIn("Access-Control-Allow-Origin", other.headers)
        api.close()
        self.assertEqual(server.stop(), 0)

    def picture(self, api):
        """Everything a client can see."""
        names = api.call("GET", "/v1/collections").json["collections"]
        picture = {}
        for name in names:
            hits = api.search(name, [3, 1, 2, -1], topK=50, filter={"must": [{"field": "n", "range": {"gte": 100}}]}).json["results"]
            status = api.status(name).json
            picture[name] = (api.scroll_all(name, limit=1000, includeVectors=True), hits, status["pointCount"], status["options"])
        return picture

    def test_a_restart_keeps_everything_however_the_server_ended(self):
        server = Server(self.data)
        api = server.client()
        self.fill(api)
        before = self.picture(api)
        self.assertEqual(set(before), {"one", "four"})
        self.assertEqual(before["four"][2], str(500 - 72))
        for ending in ["SIGTERM", "kill -9", "SIGINT", "kill -9"]:
            if ending == "kill -9":
                server.kill()
            else:
                self.assertEqual(server.stop(getattr(signal, ending)), 0)
            server = Server(self.data)
            api = server.client()
            with self.subTest(ending=ending):
                self.assertEqual(self.picture(api), before)
        # Request ids are remembered as well: the batch of the beginning changes nothing now, another one is refused.
        self.assertEqual(api.upsert("four", self.batch(), requestId="bulk").status, 200)
        other = [{"id": f"p{i}", "vector": [9, 9, 9, 9]} for i in range(500)]
        self.assertEqual(api.upsert("four", other, requestId="bulk").status, 400)
        self.assertEqual(self.picture(api), before)
        self.assertEqual(api.get("one", "p0").code, NOT_FOUND)
        self.assertEqual(server.stop(), 0)

    def test_one_folder_has_one_server(self):
        server = Server(self.data)
        with self.assertRaises(StartFailed) as failed:
            Server(self.data, log_path=os.path.join(self.folder, "second.log"))
        self.assertEqual(failed.exception.code, 1)
        self.assertIn(f"in use by process {server.process.pid}", failed.exception.log)
        self.assertEqual(server.client().call("GET", "/healthz").status, 200)
        self.assertEqual(server.stop(), 0)

    def test_a_taken_port_is_told(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            for protocol in ("http", "grpc"):
                with self.assertRaises(StartFailed) as failed:
                    Server(self.data, **{protocol: f"127.0.0.1:{port}"}, log_path=os.path.join(self.folder, f"{protocol}.log"))
                self.assertEqual(failed.exception.code, 1)
                self.assertIn(str(port), failed.exception.log)

    def test_a_folder_of_something_else_is_left_alone(self):
        os.mkdir(self.data)
        with open(os.path.join(self.data, "letter.txt"), "w") as file:
            file.write("dear")
        with self.assertRaises(StartFailed) as failed:
            Server(self.data)
        self.assertIn("letter.txt", failed.exception.log)
        self.assertIn("letter.txt", os.listdir(self.data))

    def test_a_stop_answers_what_is_under_way(self):
        server = Server(self.data)
        api = server.client()
        api.create("docs", 64)
        statuses = []

        def write(thread):
            client = server.client()
            try:
                for batch in range(10_000):
                    points = [{"id": f"{thread}-{batch}-{i}", "vector": [i] * 64} for i in range(50)]
                    statuses.append((client.upsert("docs", points).status, thread, batch))
            except (http.client.HTTPException, OSError):
                pass  # the connection was closed between two requests

        threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        while len(statuses) < 40:
            self.assertEqual(api.call("GET", "/healthz").status, 200)
        self.assertEqual(server.stop(), 0)
        for thread in threads:
            thread.join()
        server = Server(self.data)
        api = server.client()
        written = [entry for entry in statuses if entry[0] == 200]
        self.assertGreaterEqual(len(written), 40)
        for _, thread, batch in written:
            self.assertEqual(api.get("docs", f"{thread}-{batch}-49").status, 200)
        self.assertEqual(server.stop(), 0)
