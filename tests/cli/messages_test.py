#!/usr/bin/env python3
"""docs/troubleshooting.md quotes what people see: each message below is provoked, and has to be what the page says."""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.environ.get("VECTRON_BIN_DIR", ""))
SECONDS = 60
ANY_PORTS = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
with open(os.path.join(ROOT, "docs", "troubleshooting.md"), encoding="utf-8") as page:
    QUOTED = re.findall(r"`([^`\n]+)`", page.read())
STANDS_FOR = {r"\.\.\.": ".+", "FILE:LINE": r"\S+:\d+", "HOST:PORT": r"(?:\S+:\d+|HOST:PORT)"}


class Messages(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vectron-messages-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, name, text=None):
        path = os.path.join(self.folder, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return path

    def assert_said(self, message, text):
        """The page quotes the message, and the text has it."""
        self.assertIn(message, QUOTED)
        pattern = re.escape(message)
        for words, stand_for in STANDS_FOR.items():
            pattern = pattern.replace(words, stand_for)
        self.assertRegex(text, pattern)

    def run_program(self, program, *arguments, code, **environment):
        run = subprocess.run([os.path.join(BIN, program), *arguments], capture_output=True, text=True, timeout=SECONDS, check=False,
                             env={**os.environ, **environment})
        self.assertEqual(run.returncode, code, run.stderr)
        return run.stderr

    def start(self, *arguments):
        """A `vectron dev`: (process, what it printed when it was ready)."""
        data = self.path("data")
        server = subprocess.Popen([os.path.join(BIN, "vectron"), "dev", "--data", data, *ANY_PORTS, *arguments],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(server.stderr.close)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        return server, json.loads(server.stdout.readline())

    @staticmethod
    def call(server, verb, path, body=None, **headers):
        """(status, message) of an HTTP call."""
        connection = http.client.HTTPConnection(server["http"], timeout=SECONDS)
        try:
            connection.request(verb, path, None if body is None else json.dumps(body), {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text or b"{}")
        finally:
            connection.close()

    def test_when_it_does_not_start(self):
        def dev(*arguments, code, **environment):
            return self.run_program("vectron", "dev", *arguments, code=code, **environment)
        os.mkdir(self.path("other"))
        self.path("other/file", "of something else")
        self.assert_said("... is no data folder of Vectron (it holds '...' but no FORMAT file)", dev("--data", self.path("other"), *ANY_PORTS, code=1))
        self.assert_said("--auth off lets everyone ... it is refused on ...",
                         dev("--data", self.path("x"), "--auth", "off", "--http", "0.0.0.0:0", "--grpc", "127.0.0.1:0", code=2))
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            self.assert_said("cannot listen on HOST:PORT", dev("--data", self.path("y"), "--http", address, "--grpc", "127.0.0.1:0", code=1))
        file = self.path("dev.toml", 'data = "z"\nhtpp = "127.0.0.1:0"\n')
        self.assert_said('FILE:LINE: unknown option "..."; did you mean "..."?', dev("--config", file, code=2))
        self.assert_said("the environment has ..., which is no option",
                         self.run_program("vectron", "config", "check", "dev", "--data", "z", code=2, VECTRON_HTPP="x"))

    def test_a_folder_that_is_used_or_of_a_later_version(self):
        server, _ = self.start("--auth", "off")
        again = ("dev", "--data", self.path("data"), *ANY_PORTS)
        self.assert_said("data folder ... is in use by process ...", self.run_program("vectron", *again, code=1))
        server.terminate()
        server.wait(SECONDS)
        with open(self.path("data/FORMAT"), encoding="utf-8") as file:
            text = file.read()
        self.path("data/FORMAT", re.sub(r"\d+", lambda found: str(int(found[0]) + 1_000), text, count=1))
        self.assert_said("data folder ... has format ..., this version of Vectron knows up to ...", self.run_program("vectron", *again, code=1))

    def test_a_reload_of_a_wrong_file(self):
        file = self.path("dev.toml", "threads = 1\n")
        server, _ = self.start("--auth", "off", "--config", file)
        self.path("dev.toml", "thread = 1\n")
        server.send_signal(signal.SIGHUP)
        said = ""
        while "SIGHUP" not in said:
            said = server.stderr.readline()
            self.assertTrue(said)
        self.assert_said("SIGHUP: nothing was changed: ...", said)

    def test_refusals_without_credentials(self):
        _, ready = self.start("--auth", "off")
        for headers, message in (({"Host": "example.org"}, "host '...' is refused while credentials are off"),
                                 ({"Origin": "http://example.org"}, "a page of origin '...' is refused ...")):
            status, said = self.call(ready, "GET", "/v1/collections", **headers)
            self.assertEqual(status, 403)
            self.assert_said(message, said["message"])
        status, said = self.call(ready, "POST", "/v1/collections/x/points", Content_Length=str(1 << 40))
        self.assertEqual(status, 413)
        self.assert_said("the body has ... bytes, at most ... are taken here", said["message"])

    def test_limits_of_users(self):
        _, ready = self.start("--rate-free-per-second", "0.1", "--auth-register-per-minute", "1")
        account = {"email": "a@example.org", "password": "Correct-Horse-1"}
        self.assertEqual(self.call(ready, "POST", "/v1/users/register", account)[0], 200)
        status, said = self.call(ready, "POST", "/v1/users/register", {**account, "email": "b@example.org"})
        self.assertEqual(status, 429)
        self.assert_said("too many such calls from this address", said["message"])
        token = self.call(ready, "POST", "/v1/users/login", account)[1]["jwtToken"]
        status = 200
        while status == 200:
            status, said = self.call(ready, "GET", "/v1/collections", authorization=f"Bearer {token}")
        self.assertEqual(status, 429)
        self.assert_said("more than ... requests per second", said["message"])

    def test_vectronctl(self):
        def ctl(*arguments, code):
            return self.run_program("vectronctl", *arguments, code=code)
        self.assert_said("... is no address of gRPC: wanted HOST:PORT", ctl("--host", "localhost", "list", code=2))
        self.assert_said("... cannot be reached or is busy", ctl("--host", "127.0.0.1:1", "list", code=1))
        _, ready = self.start("--auth", "off")
        self.assert_said("unknown kind of file", ctl("--host", ready["grpc"], "import", "x", self.path("a.csv", ""), code=1))
        lines = ''.join(json.dumps({"id": str(i), "vector": [i, 1]}) + "\n" for i in range(3))
        imported = ("--host", ready["grpc"], "import", "x", self.path("a.jsonl", lines + "{\n"), "--create", "--max-errors", "0")
        ctl(*imported, code=1)
        self.path("a.jsonl", lines)
        self.assert_said("the input or its payload file has changed since", ctl(*imported, code=1))


if __name__ == "__main__":
    unittest.main(verbosity=2)
