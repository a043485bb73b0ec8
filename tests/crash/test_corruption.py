"""Damaged files: what can be rebuilt is rebuilt, what cannot is DATA_LOSS naming the file, and the rest goes on."""

import os
import shutil
import tempfile
import unittest

from ledger import DIMENSION, patiently, point_of, stored_points
from vectron_server import DATA_LOSS, Server, StartFailed


def files_below(folder):
    return [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names]


def flip(path, position=None):
    """Inverts a byte, by default in the middle."""
    with open(path, "r+b") as file:
        size = os.path.getsize(path)
        file.seek(size // 2 if position is None else position)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0xFF]))


class Corruption(unittest.TestCase):
    POINTS = {f"p{i}": i + 1 for i in range(500)}

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vectron-crash-")
        self.data = os.path.join(self.folder, "data")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        server = Server(self.data)
        api = server.client()
        for name in ("hurt", "well"):  # groups 1 and 2
            self.assertEqual(api.create(name, DIMENSION).status, 200)
            self.assertEqual(api.upsert(name, [point_of(p, n) for p, n in self.POINTS.items()]).status, 200)
        self.assertEqual(server.stop(), 0)

    def shard(self, *parts):
        return os.path.join(self.data, "shards", "1", *parts)

    def test_a_damaged_index_checkpoint_is_rebuilt(self):
        paths = [path for path in files_below(self.shard("index")) if os.path.getsize(path) > 0]
        self.assertTrue(paths)
        saved = os.path.join(self.folder, "saved")
        shutil.copytree(self.data, saved)
        for path in paths:
            with self.subTest(file=os.path.relpath(path, self.data)):
                shutil.rmtree(self.data)
                shutil.copytree(saved, self.data)
                flip(path)
                server = Server(self.data)
                api = server.client()
                self.assertEqual(stored_points(self, api, "hurt"), self.POINTS)
                self.assertEqual(patiently(lambda: api.call("GET", "/readyz")).status, 200)
                self.assertEqual(server.stop(), 0)

    def test_a_missing_index_is_rebuilt(self):
        shutil.rmtree(self.shard("index"))
        server = Server(self.data)
        self.assertEqual(stored_points(self, server.client(), "hurt"), self.POINTS)
        self.assertEqual(server.stop(), 0)

    def test_a_damaged_store_is_told_and_the_others_are_served(self):
        tables = [path for path in files_below(self.shard("store")) if path.endswith(".sst")]
        self.assertTrue(tables)
        for path in tables:
            flip(path)
        server = Server(self.data)
        api = server.client()
        answers = [api.get("hurt", p) for p in self.POINTS]
        self.assertTrue(any(answer.status != 200 for answer in answers))
        for (point, number), answer in zip(self.POINTS.items(), answers):
            if answer.status == 200:  # no wrong answer, and no "not found" for what cannot be read
                self.assertEqual(answer.json["point"]["payload"]["n"], number)
            else:
                self.assertEqual((answer.status, answer.code), (500, DATA_LOSS), answer)
                self.assertTrue(any(os.path.basename(path) in answer.message for path in tables), answer)
        self.assertEqual(stored_points(self, api, "well"), self.POINTS)
        self.assertEqual(api.upsert("well", [point_of("new", 1)]).status, 200)
        server.stop()

    def test_a_store_that_cannot_be_opened_keeps_its_shard_out_and_names_the_file(self):
        current = self.shard("store", "CURRENT")
        with open(current, "w") as file:
            file.write("MANIFEST-999999\n")
        server = Server(self.data)
        api = server.client()
        for answer in (api.get("hurt", "p1"), api.search("hurt", [0] * DIMENSION), api.upsert("hurt", [point_of("a", 1)]),
                       api.delete("hurt", "p1"), api.scroll("hurt")):
            self.assertEqual((answer.status, answer.code), (500, DATA_LOSS), answer)
            self.assertIn("shards/1/store", answer.message)
            self.assertIn("hurt", answer.message)
        ready = api.call("GET", "/readyz")
        self.assertEqual(ready.status, 503)
        self.assertFalse(ready.json["ready"])
        self.assertIn("hurt", ready.json["problems"][0])
        self.assertFalse(api.status("hurt").json["shards"][0]["ready"])
        self.assertIn("shards/1/store", server.log())
        self.assertEqual(stored_points(self, api, "well"), self.POINTS)
        self.assertEqual(api.drop("hurt").status, 200)  # the way out
        self.assertEqual(api.call("GET", "/readyz").status, 200)
        self.assertFalse(os.path.exists(self.shard()))
        self.assertEqual(server.stop(), 0)

    def test_a_missing_shard_folder_is_data_loss_not_an_empty_shard(self):
        shutil.rmtree(self.shard())
        server = Server(self.data)
        answer = server.client().get("hurt", "p1")
        self.assertEqual((answer.status, answer.code), (500, DATA_LOSS), answer)
        self.assertIn("shards/1", answer.message)
        server.stop()

    def test_a_damaged_or_missing_catalog_keeps_the_server_from_starting(self):
        path = os.path.join(self.data, "catalog")
        flip(path)
        with self.assertRaises(StartFailed) as failed:
            Server(self.data)
        self.assertEqual(failed.exception.code, 1)
        self.assertIn(path, failed.exception.log)
        os.remove(path)
        with self.assertRaises(StartFailed) as failed:
            Server(self.data)
        self.assertIn("missing", failed.exception.log)

    def test_a_damaged_log_keeps_the_server_from_starting(self):
        server = Server(self.data)
        api = server.client()
        for number in range(1, 30):
            self.assertEqual(api.upsert("hurt", [point_of(f"q{number}", number)]).status, 200)
        server.kill()
        logs = [path for path in files_below(os.path.join(self.data, "log")) if path.endswith(".log") and os.path.getsize(path) > 0]
        self.assertTrue(logs)
        flip(max(logs, key=os.path.getsize))
        with self.assertRaises(StartFailed) as failed:
            Server(self.data)
        self.assertIn(os.path.join(self.data, "log"), failed.exception.log)

    def test_a_torn_tail_of_the_log_is_a_normal_crash(self):
        server = Server(self.data)
        api = server.client()
        written = dict(self.POINTS)
        for number in range(1, 30):
            self.assertEqual(api.upsert("hurt", [point_of(f"q{number}", number)]).status, 200)
            written[f"q{number}"] = number
        server.kill()
        logs = [path for path in files_below(os.path.join(self.data, "log")) if path.endswith(".log") and os.path.getsize(path) > 0]
        with open(max(logs, key=os.path.getmtime), "r+b") as file:
            beginning = file.read(20)  # of a record
            file.seek(0, os.SEEK_END)
            file.write(beginning)  # which never came to its end
        server = Server(self.data)
        self.assertEqual(stored_points(self, server.client(), "hurt"), written)
        self.assertEqual(server.stop(), 0)
