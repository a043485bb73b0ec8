"""A crash at each named step of a checkpoint and of making and deleting collections: what was acknowledged is there
afterwards, and the server starts without help."""

import os
import shutil
import tempfile
import unittest

from ledger import DIMENSION, Ledger, await_ready, point_of, stored_points
from vectron_server import Server

CRASHED = 137

CATALOG_POINTS = ["file.before_rename", "catalog.create_begun", "catalog.shards_made", "catalog.create_done", "catalog.removed",
                  "catalog.shard_destroyed"]
CHECKPOINT_POINTS = ["shard.checkpoint.store_flushed", "shard.checkpoint.index_written", "shard.checkpoint.written",
                     "shard.checkpoint.published", "shard.checkpoint.older_removed", "shard.checkpoint.log_marks_set",
                     "index_checkpoint.files_synced", "index_checkpoint.manifest_written"]


class CrashPoints(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vectron-crash-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def start(self, data, crash_point=None):
        return Server(data, env={"VECTRON_CRASH_POINT": crash_point} if crash_point else {})

    def test_making_and_deleting_collections(self):
        for crash_point in CATALOG_POINTS:
            for passage in (1, 2, 3):
                with self.subTest(crash_point=crash_point, passage=passage):
                    self.crash_in_catalog(crash_point, passage)

    def crash_in_catalog(self, crash_point, passage):
        data = os.path.join(self.folder, f"{crash_point}-{passage}")
        server = self.start(data)
        api = server.client()
        self.assertEqual(api.create("old", DIMENSION).status, 200)
        self.assertEqual(api.upsert("old", [point_of("a", 1)]).status, 200)
        self.assertEqual(server.stop(), 0)
        server = self.start(data, f"{crash_point}:{passage}")
        api = server.client()
        made, gone = {"old"}, set()
        name = None
        try:
            for name in ["n0", "n1", "n2"]:
                self.assertEqual(api.create(name, DIMENSION, shardCount=2).status, 200)
                made.add(name)
                self.assertEqual(api.upsert(name, [point_of("x", 2), point_of("y", 3)]).status, 200)
            for name in ["n2", "n1", "n0"]:
                self.assertEqual(api.drop(name).status, 200)
                made.remove(name)
                gone.add(name)
            self.fail("the crash point was not met")
        except OSError:  # http.client's RemoteDisconnected is one
            pass
        self.assertEqual(server.process.wait(), CRASHED)
        server.kill()
        server = self.start(data)
        api = server.client()
        names = set(api.call("GET", "/v1/collections").json["collections"])
        self.assertLessEqual(made - {name}, names)
        self.assertLessEqual(names, made | {name})
        for one in names:
            await_ready(self, api, one)
        self.assertEqual(stored_points(self, api, "old"), {"a": 1})
        for one in made - {name, "old"}:
            self.assertEqual(stored_points(self, api, one), {"x": 2, "y": 3})
        folders = len(os.listdir(os.path.join(data, "shards")))
        self.assertEqual(folders, sum(len(api.status(one).json["shards"]) for one in names), "folders nobody owns were left")
        for one in {"n0", "n1", "n2"} - names:
            self.assertEqual(api.create(one, DIMENSION).status, 200)
        self.assertEqual(server.stop(), 0)

    def test_checkpoints(self):
        data = os.path.join(self.folder, "data")
        server = self.start(data)
        api = server.client()
        ledger = Ledger()
        self.assertEqual(api.create("docs", DIMENSION, shardCount=3).status, 200)
        self.assertEqual(server.stop(), 0)
        # The second time: one shard has ended in good order, and another one is cut short.
        cases = [(crash_point, passage) for crash_point in CHECKPOINT_POINTS for passage in (1, 2)]
        for number, (crash_point, passage) in enumerate(cases, start=1):
            with self.subTest(crash_point=crash_point, passage=passage):
                server = self.start(data, f"{crash_point}:{passage}")
                api = server.client()
                changes = {f"p{i}": number for i in range(number, 400, number)}
                self.assertTrue(ledger.write(
                    lambda: api.upsert("docs", [point_of(point, n) for point, n in changes.items()]), changes))
                self.assertTrue(ledger.write(lambda: api.delete("docs", f"p{number}"), {f"p{number}": None}))
                self.assertEqual(server.stop(), CRASHED)  # a stop writes a checkpoint
                server = self.start(data)
                ledger.settle(stored_points(self, server.client(), "docs"))
                server.kill()
