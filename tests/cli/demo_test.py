#!/usr/bin/env python3
"""The demo with the small data set: it runs beside another server, its curl lines and its link to the console work as printed, a
second run reuses the data, and nothing that it did not make is used or deleted."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("VECTRON_BIN_DIR", "")


class Demo(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vectron-demo-")
        self.pid = 0
        self.http = self.grpc = "127.0.0.1:0"
        self.script = [os.path.join(ROOT, "tools", "demo"), "--set", os.path.join(ROOT, "examples", "data", "debian-packages-2k")]
        self.other = None
        os.makedirs(os.path.join(self.folder, "console"))
        with open(os.path.join(self.folder, "console", "index.html"), "w", encoding="utf-8") as file:
            file.write("<!doctype html><title>The console</title>")

    def tearDown(self):
        if self.pid and self.alive():
            os.kill(self.pid, signal.SIGKILL)
        if self.other:
            self.other.kill()
            self.other.wait()
            self.other.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_other(self):
        """Somebody else's server at the addresses of the demo, with a larger collection of the demo's name."""
        command = [os.path.join(BIN, "vectron"), "dev", "--data", os.path.join(self.folder, "other"), "--http", self.http, "--grpc",
                   self.grpc, "--auth", "off"]
        self.other = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        ready = json.loads(self.other.stdout.readline())
        self.http, self.grpc = ready["http"], ready["grpc"]
        self.call(self.http, "POST", "", {"name": "debian-packages", "dimension": 1})
        points = [{"id": str(i), "vector": [i]} for i in range(2500)]
        self.call(self.http, "POST", "/debian-packages/points", {"points": points})

    def call(self, address, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{address}/v1/collections{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def count(self, address):
        return int(self.call(address, "GET", "/debian-packages/status")["pointCount"])

    def alive(self):
        try:
            with open(f"/proc/{self.pid}/stat", encoding="utf-8") as file:
                return file.read().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    def demo(self, *arguments, code=0):
        command = [*self.script, "--data", self.folder, "--http", self.http, "--grpc", self.grpc, "--bin", BIN, "--seconds", "0.3",
                   *arguments]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
                             env={**os.environ, "VECTRON_CONSOLE": os.path.join(self.folder, "console")})
        if not self.pid and os.path.exists(os.path.join(self.folder, "server.json")):
            with open(os.path.join(self.folder, "server.json"), encoding="utf-8") as file:
                self.pid = json.load(file)["pid"]
        self.assertEqual(run.returncode, code, run.stdout + run.stderr)
        return run.stdout + run.stderr

    def check_console(self, out):
        """The link leads to the console's page."""
        link = re.search(r"^Console: (http://\S+/)$", out, re.MULTILINE)
        self.assertTrue(link, out)
        request = urllib.request.Request(link.group(1), headers={"Accept": "text/html"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            self.assertIn(b"<title>The console</title>", answer.read())

    def check_what_it_did_not_make(self, address):
        """A collection that grew, or whose maker is unknown, is left alone."""
        vector = self.call(address, "POST", "/debian-packages/points/search", {"vector": [1] * 384, "topK": 1, "includeVectors": True})
        self.call(address, "POST", "/debian-packages/points", {"points": [{"id": "mine", "vector": vector["results"][0]["vector"]}]})
        self.assertIn("1 more than the demo wrote", self.demo(code=1))
        os.rename(os.path.join(self.folder, "collection.json"), os.path.join(self.folder, "hidden"))
        self.assertIn("that this demo did not make", self.demo(code=1))
        os.rename(os.path.join(self.folder, "hidden"), os.path.join(self.folder, "collection.json"))
        self.assertEqual(self.count(address), 2001)
        self.call(address, "DELETE", "/debian-packages/points/mine")

    def test_demo(self):
        self.start_other()
        out = self.demo()
        self.assertIn(f"{self.http} is taken by another program", out)
        self.check_console(out)
        self.assertIn("2,000 packages", out)
        self.assertIn("convert video from one format", out)
        self.assertIn(f"./dev demo --stop --data {self.folder}", out)
        for recall in re.findall(r"(?:grpc|http) +(\d\.\d{4})", out):
            self.assertGreaterEqual(float(recall), 0.97)
        lines = [line for line in out.splitlines() if line.startswith("curl ")]
        self.assertGreaterEqual(len(lines), 5)
        if shutil.which("curl"):
            for line in lines:
                run = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
                self.assertEqual(run.returncode, 0, line + run.stderr)
                answer = json.loads(run.stdout)
                self.assertNotIn("code", answer, line)
                if "/points/search" in line:
                    self.assertTrue(answer["results"], line)
        with open(os.path.join(self.folder, "server.json"), encoding="utf-8") as file:
            mine = json.load(file)["http"]
        self.assertNotEqual(mine, self.http)
        self.assertEqual((self.count(mine), self.count(self.http)), (2000, 2500))
        self.check_what_it_did_not_make(mine)
        self.assertIn("holds its 2,000 points already", self.demo())
        self.demo("--stop")
        deadline = time.monotonic() + 30
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertFalse(self.alive())
        self.assertIsNone(self.other.poll())
        self.assertIn("no server of this demo is running", self.demo("--stop", code=1))

    def test_vectors_are_made_up_where_no_data_set_is(self):
        tools = os.path.join(self.folder, "far", "project", "tools")
        os.makedirs(tools)
        for name in ("demo", "demo_data.py"):
            shutil.copy(os.path.join(ROOT, "tools", name), tools)
        self.script = [os.path.join(tools, "demo")]
        out = self.demo()
        self.assertIn("5,000 vectors of 64 components are made up", out)
        self.assertIn('question: made-up question 0, like packages of the section "video"', out)
        recalls = re.findall(r"(?:grpc|http) +(\d\.\d{4})", out)
        self.assertEqual(len(recalls), 2, out)
        for recall in recalls:
            self.assertGreaterEqual(float(recall), 0.95)
        self.assertIn("holds its 5,000 points already", self.demo())

    def test_no_server_is_started_for_a_data_set_that_is_not_there(self):
        self.script = [os.path.join(ROOT, "tools", "demo"), "--set", os.path.join(self.folder, "none")]
        self.assertIn("there is no data set in", self.demo(code=1))
        self.assertFalse(os.path.exists(os.path.join(self.folder, "server.json")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
