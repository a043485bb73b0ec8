#!/usr/bin/env python3
"""The demo on free ports with the small data set: it runs, its curl lines work as printed, a second run reuses the data."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("VECTRON_BIN_DIR", "")


class Demo(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vectron-demo-")
        self.pid = 0

    def tearDown(self):
        if self.pid and self.alive():
            os.kill(self.pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def alive(self):
        try:
            with open(f"/proc/{self.pid}/stat", encoding="utf-8") as file:
                return file.read().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    def demo(self, *arguments):
        command = [os.path.join(ROOT, "tools", "demo"), "--data", self.folder, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--set",
                   os.path.join(ROOT, "examples", "data", "debian-packages-2k"), "--bin", BIN, "--seconds", "0.3", *arguments]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
        if not self.pid and os.path.exists(os.path.join(self.folder, "server.json")):
            with open(os.path.join(self.folder, "server.json"), encoding="utf-8") as file:
                self.pid = json.load(file)["pid"]
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        return run.stdout

    def test_demo(self):
        out = self.demo()
        self.assertIn("2,000 packages", out)
        self.assertIn("convert video from one format", out)
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
        self.assertIn("holds its 2,000 points already", self.demo())
        self.demo("--stop")
        deadline = time.monotonic() + 30
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertFalse(self.alive())


if __name__ == "__main__":
    unittest.main(verbosity=2)
