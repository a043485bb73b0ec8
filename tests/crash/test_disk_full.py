"""A disk that fills up: writes are refused, reads and deletes go on, and writes resume when there is room again."""

import os
import shutil
import subprocess
import tempfile
import time
import unittest

from vectron_server import RESOURCE_EXHAUSTED, Server

MIB = 1 << 20
DIMENSION = 256


class DiskFull(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vectron-crash-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.disk = os.path.join(self.folder, "disk")
        os.mkdir(self.disk)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={200 * MIB}", "vectron-test", self.disk], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("SKIPPED LOUDLY: no right to mount a small tmpfs: " + mounted.stderr.decode().strip())
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=False)

    def start(self):
        return Server(os.path.join(self.disk, "data"), log_path=os.path.join(self.folder, "log"))

    def start_with_five_batches(self):
        server = self.start()
        api = server.client()
        self.assertEqual(api.create("docs", DIMENSION).status, 200)
        for number in range(5):
            self.assertEqual(api.upsert("docs", self.batch(number)).status, 200)
        return server, api

    def fill_disk(self, leave):
        """A file of somebody else's that takes what is free but for `leave` bytes."""
        space = os.statvfs(self.disk)
        size = space.f_bavail * space.f_frsize - leave
        path = os.path.join(self.disk, "somebody-else")
        with open(path, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        return path

    def batch(self, number):
        return [{"id": f"p{number}-{i}", "vector": [number + i] * DIMENSION, "payload": {"text": "x" * 1000}} for i in range(100)]

    def refused(self, answer):
        self.assertEqual((answer.status, answer.code), (429, RESOURCE_EXHAUSTED), answer)
        self.assertIn("disk", answer.message)
        self.assertIn("Retry-After", answer.headers)

    def reads_go_on(self, api, written):
        for number in range(written):
            self.assertEqual(api.get("docs", f"p{number}-99").status, 200)
        found = api.search("docs", [0] * DIMENSION, topK=5)
        self.assertEqual((found.status, len(found.json["results"])), (200, 5), found)

    def write_when_there_is_room(self, api, number):
        end = time.monotonic() + 30  # 10 s on a machine with nothing else to do
        while (answer := api.upsert("docs", self.batch(number))).status != 200:
            self.refused(answer)
            self.assertLess(time.monotonic(), end, answer)
            time.sleep(0.1)

    def test_writes_are_refused_and_resume(self):
        server, api = self.start_with_five_batches()

        # Within the reserve (5 % of this disk: 10 MiB) upserts are refused and deletes go on.
        hog = self.fill_disk(leave=7 * MIB)
        self.refused(api.upsert("docs", self.batch(5)))
        self.reads_go_on(api, 5)
        self.assertEqual(api.delete("docs", "p0-0").status, 200)
        self.assertEqual(api.get("docs", "p0-0").status, 404)
        os.remove(hog)
        self.write_when_there_is_room(api, 5)

        # Not a byte left: nothing can be written, reads go on, and nothing breaks.
        hog = self.fill_disk(leave=0)
        self.refused(api.upsert("docs", self.batch(6)))
        self.refused(api.delete("docs", "p0-1"))
        answer = api.create("more", DIMENSION)
        self.assertEqual((answer.status, answer.code), (429, RESOURCE_EXHAUSTED), answer)
        self.reads_go_on(api, 6)
        os.remove(hog)
        self.write_when_there_is_room(api, 6)
        self.assertEqual(api.create("more", DIMENSION).status, 200)

        self.assertEqual(api.status("docs").json["pointCount"], "699")
        server.kill()
        server = self.start()
        self.assertEqual(server.client().status("docs").json["pointCount"], "699")
        self.assertEqual(server.stop(), 0)

    def test_a_stop_and_a_start_on_a_full_disk_lose_nothing(self):
        server, _ = self.start_with_five_batches()
        hog = self.fill_disk(leave=0)
        server.stop()  # it cannot write its last checkpoint; the log has everything
        os.remove(hog)
        server = self.start()
        self.assertEqual(server.client().status("docs").json["pointCount"], "500")
        self.reads_go_on(server.client(), 5)
        self.assertEqual(server.stop(), 0)
