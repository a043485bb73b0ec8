#!/usr/bin/env python3
"""SIGHUP: what may change takes effect, what may not is named, and a wrong file changes nothing."""
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

VECTRON = os.path.join(os.environ.get("VECTRON_BIN_DIR", ""), "vectron")
SECONDS = 60


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


class Server:
    """A role with an options file. What it says on standard error is read line by line."""

    def __init__(self, folder, text, role=("dev",)):
        self.config = os.path.join(folder, "role.toml")
        self.write(text)
        self.process = subprocess.Popen([VECTRON, *role, "--config", self.config, "--data", os.path.join(folder, "data"),
                                         "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=lambda: [self.lines.put(line) for line in self.process.stderr])
        self.reader.start()
        ready = self.process.stdout.readline()
        if not ready:
            self.stop()
            raise AssertionError("it did not start: " + "".join(self.lines.queue))
        self.http = "http://" + json.loads(ready)["http"]

    def write(self, text):
        write(self.config, text)

    def reload(self, text, until):
        """Puts the file in place, sends SIGHUP and waits for a line with `until`; all lines up to it."""
        self.write(text)
        self.process.send_signal(signal.SIGHUP)
        said = []
        while not said or until not in said[-1]:
            said.append(self.lines.get(timeout=SECONDS))
        return "".join(said)

    def post(self, path, body):
        request = urllib.request.Request(self.http + path, data=json.dumps(body).encode(), method="POST")
        try:
            return urllib.request.urlopen(request, timeout=SECONDS).status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def get(self, path):
        with urllib.request.urlopen(self.http + path, timeout=SECONDS) as answer:
            return json.load(answer)

    def stop(self):
        self.process.terminate()
        code = self.process.wait(SECONDS)
        self.reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return code


class Reload(unittest.TestCase):
    def folder(self):
        folder = tempfile.mkdtemp(prefix="vectron-reload-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def serve(self, text, folder=None, role=("dev",)):
        server = Server(folder or self.folder(), text, role)
        self.addCleanup(lambda: server.process.poll() is None and server.stop())
        return server

    def logins(self, server):
        """Whether each of four logins was looked at (401) or refused for its rate (429)."""
        return [server.post("/v1/users/login", {"email": "a@example.com", "password": "Wrong-Horse-1"}) for _ in range(4)]

    def check_rates(self, server):
        self.assertEqual(self.logins(server), [401, 429, 429, 429])
        said = server.reload("auth-login-per-minute = 0\nrate-free-per-second = 7\n", "read again")
        self.assertIn("changed: auth-login-per-minute, rate-free-per-second", said)
        self.assertEqual(self.logins(server), [401, 401, 401, 401])

    def test_rates(self):
        self.check_rates(self.serve("auth-login-per-minute = 1\n"))

    def test_rates_of_the_auth_service(self):
        folder = self.folder()
        secret = os.path.join(folder, "secret")
        write(secret, "0123456789abcdef")
        self.check_rates(self.serve("auth-login-per-minute = 1\n", folder, ("auth", "--cluster-secret-file", secret)))

    def test_slow_queries_and_alerts(self):
        server = self.serve('auth = "off"\nslow-query-ms = 1000000\nsample-interval-ms = 100\nalert-disk-percent = 100\n')
        server.post("/v1/collections", {"name": "a", "dimension": 2})
        search = ("/v1/collections/a/points/search", {"vector": [1, 2], "topK": 1})
        server.post(*search)
        self.assertEqual(server.get("/v1/admin/slow-queries")["queries"], [])
        server.reload('auth = "off"\nslow-query-ms = 0\nsample-interval-ms = 100\nalert-disk-percent = 0.001\n', "read again")
        server.post(*search)
        slow = server.get("/v1/admin/slow-queries")
        self.assertEqual((slow["thresholdMs"], len(slow["queries"])), (0, 1))
        raised = threading.Event()
        for _ in range(10 * SECONDS):  # until the next samples have been taken
            if any(alert["rule"] == "disk" for alert in server.get("/v1/alerts?status=active")["alerts"]):
                raised.set()
                break
            raised.wait(0.1)
        self.assertTrue(raised.is_set())

    def test_what_needs_a_restart_is_named_each_time(self):
        server = self.serve("threads = 1\n")
        for _ in range(2):
            self.assertIn("threads has changed", server.reload("threads = 2\n", "at the next start"))
        said = server.reload("threads = 1\nslow-query-ms = 1\n", "read again")
        self.assertIn("changed: slow-query-ms", said)
        self.assertIn("changed: nothing", server.reload("threads = 1\nslow-query-ms = 1\n", "read again"))
        said = server.reload("threads = 1\nslow-query-ms = 2\n", "read again")
        self.assertNotIn("threads", said)

    def test_a_file_that_is_read_at_the_start_alone_is_named_when_it_changes(self):
        folder = self.folder()
        ranking = os.path.join(folder, "ranking.toml")
        text = f"ranking-config = '{ranking}'\n"
        write(ranking, '[rerank]\nstrategy = "rule"\n')
        server = self.serve(text, folder)
        write(ranking, '[rerank]\nstrategy = "learned"\n')
        self.assertIn("the file of ranking-config has changed", server.reload(text, "at the next start"))
        write(ranking, '[rerank]\nstratgy = "rule"\n')
        self.assertIn('did you mean "strategy"?', server.reload(text, "nothing was changed"))

    def test_a_wrong_file_changes_nothing(self):
        server = self.serve("auth-login-per-minute = 1\n")
        for wrong, why in (("auth-login-per-minut = 0\n", "did you mean"), ("auth-login-per-minute = 'x'\n", "auth-login-per-minute"),
                           ("= =\n", "role.toml:1"), ("auth-login-per-minute = 0\ntrusted-proxy = 'nobody'\n", "nobody")):
            self.assertIn(why, server.reload(wrong, "nothing was changed"))
        os.remove(server.config)
        server.process.send_signal(signal.SIGHUP)
        self.assertIn("cannot be read", server.lines.get(timeout=SECONDS))
        self.assertEqual(self.logins(server), [401, 429, 429, 429])

    def test_the_log_gets_quiet_and_talks_again(self):
        server = self.serve("auth = 'off'\nlog-level = 'warning'\n")
        quiet = "auth = 'off'\nlog-level = 'error'\nthreads = 2\n"
        said = server.reload(quiet, "next start")  # the last it says
        self.assertNotIn("serves HTTP", said)
        server.write(quiet + "slow-query-ms = 5\n")
        server.process.send_signal(signal.SIGHUP)
        while server.get("/v1/admin/slow-queries")["thresholdMs"] != 5:
            pass
        said = server.reload("auth = 'off'\nlog-level = 'info'\n", "read again")
        self.assertNotIn("next start", said)
        self.assertIn("changed: slow-query-ms, log-level", said)

    def test_it_goes_on_serving_and_stops_well(self):
        server = self.serve('auth = "off"\n')
        server.reload('auth = "off"\n', "read again")
        self.assertEqual(server.get("/v1/collections")["collections"], [])
        self.assertEqual(server.stop(), 0)

    def test_without_a_file_it_ends_as_other_programs_do(self):
        process = subprocess.Popen([VECTRON, "dev", "--data", self.folder(), "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))  # whatever started this test
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        self.assertEqual(process.wait(SECONDS), -signal.SIGHUP)
        process.stdout.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
