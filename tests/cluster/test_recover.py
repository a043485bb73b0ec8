"""The last resort, with real processes and the commands of docs/running-a-cluster.md: two of three workers are lost with their disks, the
third goes on alone with what it has, and its shards get their copies back on new workers."""
import os
import re
import shutil
import subprocess
import unittest

from clients import Api, DIMENSION, patiently, settled
from cluster_process import BINARY, ClusterProcess

SHARDS = 2
POINTS = 200
DEAD_AFTER_MS = 6_000
SURVIVOR = "worker-1"
LOST = ("worker-2", "worker-3")


class Recover(unittest.TestCase):
    def setUp(self):
        self.cluster = ClusterProcess(workers=3, placement=1, gateways=1, flags=(
            "--heartbeat-ms", "300", "--dead-after-ms", str(DEAD_AFTER_MS)))
        self.addCleanup(self.cluster.destroy)
        self.until = self.cluster.until
        self.api = Api(self.cluster.http)
        self.api.make("docs", SHARDS, 3)

    def workers(self):
        """By id."""
        workers = patiently(lambda: self.api.call("GET", "/v1/admin/workers"))["workers"]
        return {int(worker["worker_id"]): worker for worker in workers}

    def recover(self, *arguments, code=0):
        """What `vectron recover` says of the survivor, with that exit code."""
        placement = ",".join(self.cluster.nodes[name]["grpc"] for name in self.cluster.names("placement"))
        command = [BINARY, "recover", "--data", self.cluster.nodes[SURVIVOR]["data"], "--placement", placement,
                   "--cluster-secret-file", os.path.join(self.cluster.data, "cluster.secret"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, code, f"{done.stdout}{done.stderr}\n{self.cluster.logs()}")
        return done.stdout + done.stderr

    def write_points(self):
        """All of them are on the disks of all workers afterwards."""
        for number in range(POINTS):
            self.api.write("docs", f"p{number}", number)
        self.until("all points everywhere", lambda: all(
            worker["stats"]["vector_count"] == POINTS for worker in self.workers().values()))

    def check_points(self):
        stored = {point["id"]: point["payload"]["number"] for point in self.api.scan("docs")}
        for number in range(POINTS):
            self.assertEqual(stored.get(f"p{number}"), number)
        self.assertLessEqual(set(stored) - {f"p{number}" for number in range(POINTS)}, {"unsure", "after"})
        answer = patiently(lambda: self.api.search("docs", [0.0] * DIMENSION, topK=1_000, params={"exact": True}))
        self.assertEqual({hit["id"] for hit in answer["results"]}, set(stored))

    def lose_two(self):
        """The ids of the workers that are gone for good."""
        ids = [self.cluster.nodes[name]["id"] for name in LOST]
        for name in LOST:
            self.cluster.kill(name)
            shutil.rmtree(self.cluster.nodes[name]["data"])
        return ids

    def let_it_go_on_alone(self):
        told = self.recover()
        groups = re.findall(r"^group (\d+): collection 'docs', shard \d; voters on workers (.+); the log ends at \d+,", told, re.MULTILINE)
        self.assertEqual(len(groups), SHARDS, told)
        for group, voters in groups:
            self.assertEqual((voters.count("this one"), voters.count("lost")), (1, 2), told)
            self.assertIn("say so with --yes", self.recover("--group", group))
            self.assertIn("goes on alone when this worker starts", self.recover("--group", group, "--yes"))

    def holders(self):
        """Ids of the workers of each shard's voters."""
        return [{int(worker) for worker in shard["replicas"]} for shard in self.api.status("docs")["shards"]]

    def remove(self, worker):
        return settled(lambda: self.api.call("DELETE", f"/v1/admin/workers/{worker}"))[0] in (200, 404)

    def votes_with(self, new):
        """Stops the survivor and says whether the new workers vote in all its groups. If not it runs again: placement lists a voter a
        moment before the group has agreed to it."""
        self.cluster.terminate(SURVIVOR)
        voters = [set(map(int, re.findall(r"(\d+) \(", told))) for told in re.findall(r"voters on workers ([^;]+);", self.recover())]
        if voters == [{self.cluster.nodes[SURVIVOR]["id"], *new}] * SHARDS:
            return True
        self.cluster.start(SURVIVOR)
        self.check_points()
        return False

    def test_one_copy_of_three_goes_on_and_gets_its_copies_back(self):
        self.write_points()
        self.assertIn("in use by process", self.recover(code=1))
        self.cluster.terminate(SURVIVOR)
        group = re.search(r"^group (\d+):", self.recover(), re.MULTILINE).group(1)
        self.assertIn("3 of 3 voters are not lost", self.recover("--group", group, "--yes", code=1))
        self.cluster.start(SURVIVOR)
        self.check_points()

        lost = self.lose_two()
        self.until("dead workers", lambda: all(self.workers()[worker]["state"] == "DEAD" for worker in lost))
        self.assertIn(self.api.upsert("docs", "unsure", 1)[0], (0, 503, 504), "one of three is no majority")
        self.assertEqual(patiently(lambda: self.api.get("docs", "p7", "EVENTUAL"))["point"]["payload"]["number"], 7)

        # Whoever does this takes his time: the one that is left is called dead, too.
        survivor = self.cluster.nodes[SURVIVOR]["id"]
        self.cluster.terminate(SURVIVOR)
        self.until("one more dead worker", lambda: self.workers()[survivor]["state"] == "DEAD")
        self.let_it_go_on_alone()
        self.cluster.start(SURVIVOR)
        self.assertEqual(self.cluster.nodes[SURVIVOR]["id"], survivor)
        self.check_points()
        self.api.write("docs", "after", 2)

        for name in LOST:
            self.cluster.start(name)  # with a new disk
        new = {self.cluster.nodes[name]["id"] for name in LOST}
        self.assertFalse(new & {survivor, *lost})
        self.until("three copies of each shard", lambda: self.holders() == [{survivor, *new}] * SHARDS)
        for worker in lost:
            self.until("the removal of what is lost", lambda: self.remove(worker))
        self.assertEqual(set(self.workers()), {survivor, *new})

        self.until("a majority of new copies", lambda: self.votes_with(new))
        self.check_points()
        self.assertEqual(patiently(lambda: self.api.get("docs", "after"))["point"]["payload"]["number"], 2)
        self.cluster.start(SURVIVOR)
        self.cluster.stop()


if __name__ == "__main__":
    unittest.main()
