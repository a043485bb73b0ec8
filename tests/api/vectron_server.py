"""Starts the real server for tests and speaks HTTP/JSON with it. Standard library only."""

import atexit
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest
import urllib.parse

BINARY = os.environ.get("VECTRON_BINARY", "build/release/bin/vectron")
START_SECONDS = 120  # sanitizer builds on a loaded machine
ANSWER_SECONDS = 60


class Server:
    """One `vectron dev` over a data folder. Log lines are kept in `log_path`."""

    def __init__(self, data, *, http="127.0.0.1:0", grpc="127.0.0.1:0", env=None, log_path=None, args=()):
        self.data = data
        self.log_path = log_path or os.path.join(os.path.dirname(data.rstrip("/")), "server.log")
        self._log = open(self.log_path, "ab")
        command = [BINARY, "dev", "--data", data, "--http", http, "--grpc", grpc, "--auth", "off", *args]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log,
                                        env={**os.environ, **(env or {})})
        atexit.register(self.process.kill)  # a failed test leaves none behind; a no-op once it has ended
        watchdog = threading.Timer(START_SECONDS, self.process.kill)
        watchdog.start()
        try:
            line = self.process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            code = self.process.wait()
            self.process.stdout.close()
            self._log.close()
            raise StartFailed(code, self.log())
        self.ready = json.loads(line)
        self.host, port = self.ready["http"].rsplit(":", 1)
        self.port = int(port)

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def _end(self):
        rest = self.process.stdout.read()
        self.process.stdout.close()
        self._log.close()
        return rest

    def stop(self, sig=signal.SIGTERM):
        """A graceful stop; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            code = self.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the server did not stop; its log:\n" + self.log())
        rest = self._end()
        assert not rest, f"more than one line on standard output: {rest!r}"
        return code

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()
        self._end()

    def client(self):
        return Client(self.host, self.port)


class StartFailed(Exception):
    def __init__(self, code, log):
        super().__init__(f"the server ended with {code} before it was ready; its log:\n{log}")
        self.code = code
        self.log = log


class Answer:
    def __init__(self, status, headers, raw):
        self.status = status
        self.headers = headers
        self.raw = raw

    @property
    def json(self):
        return json.loads(self.raw)

    @property
    def code(self):
        """The gRPC code of an error body; 0 for success."""
        return 0 if self.status < 400 else self.json["code"]

    @property
    def message(self):
        return self.json["message"]

    def __repr__(self):
        return f"<{self.status} {self.raw[:500]!r}>"


class Client:
    """One keep-alive connection. Not for several threads."""

    def __init__(self, host, port, timeout=ANSWER_SECONDS):
        self.connection = http.client.HTTPConnection(host, port, timeout=timeout)

    def close(self):
        self.connection.close()

    __del__ = close

    def call(self, verb, path, body=None, headers=None):
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        self.connection.request(verb, path, body=body, headers=headers or {})
        response = self.connection.getresponse()
        return Answer(response.status, dict(response.headers), response.read())

    def create(self, name, dimension, **options):
        return self.call("POST", "/v1/collections", {"name": name, "dimension": dimension, **options})

    def drop(self, name):
        return self.call("DELETE", f"/v1/collections/{quote(name)}")

    def status(self, name):
        return self.call("GET", f"/v1/collections/{quote(name)}/status")

    def upsert(self, name, points, **options):
        return self.call("POST", f"/v1/collections/{quote(name)}/points", {"points": points, **options})

    def get(self, name, point, query=""):
        return self.call("GET", f"/v1/collections/{quote(name)}/points/{quote(point)}{query}")

    def delete(self, name, point, query=""):
        return self.call("DELETE", f"/v1/collections/{quote(name)}/points/{quote(point)}{query}")

    def search(self, name, vector, **options):
        return self.call("POST", f"/v1/collections/{quote(name)}/points/search", {"vector": vector, **options})

    def scroll(self, name, **options):
        return self.call("POST", f"/v1/collections/{quote(name)}/points/scroll", options)

    def scroll_all(self, name, **options):
        points, after = [], ""
        while True:
            page = self.scroll(name, afterId=after, **options).json
            points += page["points"]
            after = page["nextAfterId"]
            if not after:
                return points


def quote(text):
    return urllib.parse.quote(text, safe="")


class ServerTest(unittest.TestCase):
    """Tests that share one server; each makes collections of its own by name()."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="vectron-api-")
        cls.server = Server(os.path.join(cls.folder, "data"))
        cls.api = cls.server.client()
        cls.counter = 0

    @classmethod
    def tearDownClass(cls):
        cls.api.close()
        code = cls.server.stop()
        log = cls.server.log()
        shutil.rmtree(cls.folder, ignore_errors=True)
        assert code == 0, f"the server ended with {code}; its log:\n{log}"

    def name(self):
        type(self).counter += 1
        return f"c{self.counter}"

    def make(self, dimension=4, **options):
        name = self.name()
        self.ok(self.api.create(name, dimension, **options))
        return name

    def ok(self, answer):
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    def refused(self, answer, status, code, *parts):
        """An error of the contract whose message has all the parts."""
        self.assertEqual((answer.status, answer.code), (status, code), answer)
        self.assertEqual(set(answer.json), {"code", "message", "details"})
        for part in parts:
            self.assertIn(part, answer.message)


# Codes of gRPC.
INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED = 3, 4, 5, 6, 7
RESOURCE_EXHAUSTED, FAILED_PRECONDITION, UNIMPLEMENTED, UNAVAILABLE, DATA_LOSS = 8, 9, 12, 14, 15
