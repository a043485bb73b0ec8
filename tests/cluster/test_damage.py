"""A byte that goes wrong on the disk of one worker of three: what the others acknowledged with it stays, and no wrong answer is given."""
import glob
import os
import re
import unittest

from clients import Api, patiently
from cluster_process import ClusterProcess

SHARDS = 2
POINTS = 200
HURT = "worker-1"


def flip(path, position):
    """Inverts a byte."""
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)
        file.seek(position)
        file.write(bytes([byte[0] ^ 0xFF]))


class Damage(unittest.TestCase):
    def setUp(self):
        self.cluster = ClusterProcess(workers=3, placement=1, gateways=1, flags=("--heartbeat-ms", "300"))
        self.addCleanup(self.cluster.destroy)
        self.data = self.cluster.nodes[HURT]["data"]
        self.api = Api(self.cluster.http)
        self.api.make("docs", SHARDS, 3)
        self.values = {f"p{number}": number for number in range(POINTS)}
        for point, value in self.values.items():
            self.api.write("docs", point, value)

    def points_of(self, name):
        """How many points a worker holds, by what it tells placement."""
        workers = patiently(lambda: self.api.call("GET", "/v1/admin/workers"))["workers"]
        return next(worker["stats"]["vector_count"] for worker in workers if int(worker["worker_id"]) == self.cluster.nodes[name]["id"])

    def check_values(self):
        self.assertEqual({point["id"]: point["payload"]["number"] for point in self.api.scan("docs")}, self.values)

    def test_a_damaged_store_is_made_anew(self):
        self.cluster.terminate(HURT)  # which writes its stores
        tables = glob.glob(os.path.join(self.data, "shards", "*", "data", "store", "*.sst"))
        self.assertEqual(len({path.split(os.sep)[-4] for path in tables}), SHARDS, tables)
        for path in tables:
            flip(path, os.path.getsize(path) // 3)
        self.api.write("docs", "meanwhile", 7)
        self.values["meanwhile"] = 7
        self.cluster.start(HURT)
        self.cluster.until("its copies", lambda: self.points_of(HURT) == len(self.values))
        for other in self.cluster.names("worker"):
            if other != HURT:
                self.cluster.kill(other)
        for point, value in self.values.items():
            found = patiently(lambda name=point: self.api.get("docs", name, "EVENTUAL"))
            self.assertEqual(found["point"]["payload"]["number"], value)
        for other in self.cluster.names("worker"):
            if other != HURT:
                self.cluster.start(other)
        self.check_values()
        self.cluster.stop()

    def test_a_damaged_log_keeps_its_worker_out_and_loses_nothing(self):
        """NATS lost what had been acknowledged: the damaged copy took the log for shorter than it was, and voted so."""
        self.cluster.kill(HURT)
        logs = [path for path in glob.glob(os.path.join(self.data, "log", "*.log")) if os.path.getsize(path) > 0]
        self.assertTrue(logs)
        hurt = max(logs, key=os.path.getsize)
        flip(hurt, os.path.getsize(hurt) // 2)
        with self.assertRaises(AssertionError):
            self.cluster.start(HURT)
        with open(self.cluster.nodes[HURT]["log"], encoding="utf-8", errors="replace") as log:
            self.assertIn(f"{hurt}: ", log.read())
        self.check_values()
        self.api.write("docs", "after", 7)
        self.values["after"] = 7
        # The others are a majority that knows everything, whoever of them leads.
        for other in self.cluster.names("worker"):
            if other != HURT:
                self.cluster.kill(other)
                self.cluster.start(other)
                self.check_values()

    def kinds_of_files(self):
        """Kind -> path of one, of the node and of one shard; but for tables, which have a test of their own, and the record of the
        replica: without it the replica is lost for good, and placement's matter."""
        shards = os.path.join(self.data, "shards")
        others = [os.path.join(shards, name) for name in sorted(os.listdir(shards))[1:]]
        paths = [os.path.join(folder, name) for folder, _, names in os.walk(self.data) for name in names]
        paths = [path for path in paths if os.path.getsize(path) > 0 and not path.startswith(tuple(others)) and
                 not path.endswith((".sst", "LOCK", "replica")) and not os.path.basename(path).startswith("OPTIONS")]
        return {re.sub(r"\d+", "#", os.path.relpath(path, self.data)): path for path in paths}

    def starts_whole(self, path):
        """Whether the worker starts with that file damaged; it has everything then, or else it says why not."""
        begin = os.path.getsize(self.cluster.nodes[HURT]["log"])
        try:
            self.cluster.start(HURT)
        except AssertionError:
            with open(self.cluster.nodes[HURT]["log"], encoding="utf-8", errors="replace") as log:
                log.seek(begin)
                self.assertIn(path, log.read())
            return False
        self.cluster.until(f"all points, with {path} damaged", lambda: self.points_of(HURT) == len(self.values))
        return True

    def test_damage_of_any_file_is_named_or_mended(self):
        named, mended = [], []
        self.cluster.terminate(HURT)
        while todo := sorted(set(kinds := self.kinds_of_files()) - {*named, *mended}):
            path = kinds[todo[0]]
            flip(path, os.path.getsize(path) // 2)
            self.api.write("docs", todo[0], len(self.values))  # what was told of the worker before is no answer
            self.values[todo[0]] = len(self.values)
            if self.starts_whole(path):
                mended.append(todo[0])
                self.cluster.terminate(HURT)
            else:
                named.append(todo[0])
                flip(path, os.path.getsize(path) // 2)
        print(f"refused: {named}; mended: {mended}")
        self.assertTrue(named)
        self.assertTrue(mended)
        self.cluster.start(HURT)
        self.check_values()
        self.cluster.stop()


if __name__ == "__main__":
    unittest.main()
