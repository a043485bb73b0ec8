"""Replicas that move between real workers while clients write: drained, taken back, removed, repaired, copied for reads. At the
end every acknowledged value is held against what is stored."""
import glob
import os
import struct
import time
import unittest

from clients import Api, DIMENSION, patiently, settled
from cluster_process import ClusterProcess
from owners import Owners

SHARDS = 4
DEAD_AFTER_MS = 8_000  # no worker that lives is silent for so long, even if others use its processor
REFUSED = (0, 503, 504)  # no answer, UNAVAILABLE, DEADLINE_EXCEEDED
REPLICA_ID_AT = 18  # in the record of a replica (docs/formats/replica.md)


class Moves(unittest.TestCase):
    def start(self, *, workers, search_workers=0):
        self.cluster = ClusterProcess(workers=workers, placement=1, gateways=1, flags=(
            "--heartbeat-ms", "200", "--dead-after-ms", str(DEAD_AFTER_MS), "--search-workers", str(search_workers)))
        self.addCleanup(self.cluster.destroy)
        self.api = Api(self.cluster.http)
        self.until = self.cluster.until
        self.api.make("docs", SHARDS, 3)

    def shards(self):
        return self.api.status("docs")["shards"]

    def a_leader(self):
        """Of the first shard: the worker's id."""
        return self.until("a leader", lambda: int(self.shards()[0]["leaderId"]))

    def workers(self):
        return {int(worker["worker_id"]): worker for worker in
                patiently(lambda: self.api.call("GET", "/v1/admin/workers"))["workers"]}

    def holders(self):
        """Worker ids of each shard's voters."""
        return [{int(worker) for worker in shard["replicas"]} for shard in self.shards()]

    def left(self, worker):
        """Whether nothing is on the worker or led by it, and every shard has three replicas elsewhere."""
        return all(int(shard["leaderId"]) not in (0, worker) and len(shard["replicas"]) == 3 and str(worker) not in
                   [str(replica) for replica in shard["replicas"]] for shard in self.shards())

    def replicas_on(self, name):
        """Ids of the replicas that a worker has the data of on its disk. No id is given twice."""
        ids = set()
        for store in glob.glob(os.path.join(self.cluster.nodes[name]["data"], "shards", "*", "data", "store")):
            try:
                with open(os.path.join(os.path.dirname(os.path.dirname(store)), "replica"), "rb") as file:
                    ids.add(struct.unpack_from("<Q", file.read(), REPLICA_ID_AT)[0])
            except FileNotFoundError:
                pass  # it goes just now
        return ids

    def drain(self, worker, cancel=False):
        return patiently(lambda: self.api.call("POST", f"/v1/admin/workers/{worker}/drain", {"cancel": cancel}))

    def remove(self, worker):
        return settled(lambda: self.api.call("DELETE", f"/v1/admin/workers/{worker}"))

    def rebalance(self):
        return patiently(lambda: self.api.call("POST", "/v1/admin/rebalance", {"dryRun": False}))

    def check_values(self, owners):
        faults = owners.faults()
        print(f"{owners.count()} acknowledged writes, {len(faults)} faults")
        self.assertEqual(faults[:10], [], f"{len(faults)} faults\n{self.cluster.logs()}")

    def test_a_live_worker_is_drained_taken_back_and_removed(self):
        self.start(workers=4)
        victim = self.a_leader()
        name = self.cluster.worker_name(victim)
        with Owners(self.cluster, "docs") as owners:
            owners.await_more(200)
            status, answer = self.remove(victim)
            self.assertEqual((status, answer.get("code")), (400, 9), answer)
            self.assertRegex(answer["message"], "still holds . shards; drain it first")

            self.assertGreater(self.drain(victim)["shardsLeft"], 0)
            self.until("an empty worker", lambda: self.left(victim))
            owners.await_more(200, what="writes after the drain")
            self.assertEqual(self.workers()[victim]["state"], "DRAINING")

            self.drain(victim, cancel=True)
            self.until("a ready worker", lambda: self.workers()[victim]["state"] == "READY")
            # Asked again: a wish ends with the first look at which nothing can be moved, as when a worker is not heard for a moment.
            self.until("its share of the shards", lambda: self.rebalance() and sum(victim in holders for holders in self.holders()) >= 2)
            self.until("three voters of each", lambda: all(len(holders) == 3 for holders in self.holders()))
            owners.await_more(200, what="writes after the moves back")

            self.drain(victim)
            self.until("an empty worker", lambda: self.left(victim))
            self.until("its removal", lambda: self.remove(victim)[0] in (200, 404))  # 404: done already, the answer was lost
            self.assertNotIn(victim, self.workers())
            pid = self.cluster.nodes[name]["pid"]
            self.until("the end of its process", lambda: self.cluster._state(pid) == "Z")
            owners.await_more(200, what="writes after the removal")
        self.check_values(owners)
        self.cluster.stop()

    def test_kills_in_the_middle_of_moves_cost_no_copy(self):
        self.start(workers=4)
        victim = self.a_leader()
        with Owners(self.cluster, "docs") as owners:
            owners.await_more(200)
            self.assertGreater(self.drain(victim)["shardsLeft"], 0)
            for name in self.cluster.names("worker"):  # those that give, take and stay
                self.cluster.kill(name)
                self.cluster.start(name)
            self.until("an empty worker", lambda: self.left(victim))
            owners.await_more(200, what="writes after the moves")
        self.check_values(owners)
        self.cluster.stop()

    def test_a_worker_that_was_dead_for_long_brings_nothing_back(self):
        self.start(workers=4)
        victim = self.a_leader()
        name = self.cluster.worker_name(victim)
        with Owners(self.cluster, "docs") as owners:
            owners.await_more(200)
            self.cluster.kill(name)
            old = self.replicas_on(name)
            self.assertTrue(old)
            self.until("repair elsewhere", lambda: self.left(victim))
            owners.await_more(400, what="overwrites and deletes that it never sees")
            self.cluster.start(name)
            self.until("its return", lambda: self.workers()[victim]["healthy"])
            # It is a place for replicas again: those have ids of their own.
            self.until("the end of its old replicas", lambda: not old & self.replicas_on(name))
            owners.await_more(200, what="writes after its return")
            self.assertFalse(old & self.replicas_on(name))
            self.assertEqual(self.workers()[victim]["state"], "READY")
        self.check_values(owners)
        self.cluster.stop()

    def test_a_search_only_worker_serves_reads_that_need_no_leader_and_never_votes(self):
        self.start(workers=3, search_workers=1)
        with Owners(self.cluster, "docs") as owners:
            owners.await_more(200)
            self.until("copies of all shards", lambda: len(self.replicas_on("search-1")) == SHARDS)
            owners.await_more(200)
            time.sleep(3)  # a copy that is written to asks every second how fresh it is
        voters = self.cluster.names("worker")
        voters.remove("search-1")
        ids = {self.cluster.nodes[name]["id"] for name in voters}
        self.assertEqual(self.holders(), [ids] * SHARDS)
        self.api.write("docs", "last", 77)
        everything = self.until("all points", self.searched)
        self.assertIn("last", everything)

        self.assertEqual(self.until("all points", lambda: self.searched(consistency="BOUNDED", maxStalenessMs=1)), everything)
        # With all voters gone it is alone: what is answered now, it answers.
        for name in voters:
            self.cluster.kill(name)
        self.until("all points", lambda: self.searched(consistency="EVENTUAL") == everything)
        self.until("all points, of the last hour", lambda: self.searched(consistency="BOUNDED", maxStalenessMs=3_600_000) == everything)
        read = patiently(lambda: self.api.get("docs", "last", "EVENTUAL"))
        self.assertEqual(read["point"]["payload"]["number"], 77)
        self.assertIn(self.api.get("docs", "last")[0], REFUSED, "a strong read needs a majority")
        self.cluster.start(voters[0])
        self.assertIn(self.api.upsert("docs", "last", 78)[0], REFUSED, "one of three voters and a copy are no majority")
        self.cluster.start(voters[1])
        self.api.write("docs", "last", 79)

        # A voter that stays away is not replaced by the search-only worker.
        away = self.cluster.nodes[voters[2]]["id"]
        self.until("a dead worker", lambda: self.workers()[away]["state"] == "DEAD")
        self.api.write("docs", "after", 80)
        self.assertEqual(self.holders(), [ids] * SHARDS)
        self.check_values_but(owners, {"last", "after"})
        self.cluster.stop()

    def searched(self, **more):
        """Ids of all points, by an exact search; None when it is refused."""
        status, answer = self.api.search("docs", [0.0] * DIMENSION, topK=16_384, params={"exact": True}, **more)
        return sorted(hit["id"] for hit in answer["results"]) if status == 200 else None

    def check_values_but(self, owners, others):
        faults = [fault for fault in owners.faults() if fault.split(":")[0] not in others]
        self.assertEqual(faults[:10], [], self.cluster.logs())


if __name__ == "__main__":
    unittest.main()
