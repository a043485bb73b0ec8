"""A history that must be linearizable per point while replicas and leaderships move on purpose: drains, drains taken back, rebalancing,
workers that stop in good order.

VECTRON_CLUSTER_SECONDS (default 60) and VECTRON_SEED change how long and what; a failure prints both.
"""
import time
import unittest

from clients import Api
from cluster_process import ClusterProcess, Deadline
from history import History
from replicas import check_replicas


class LinearizableMoves(History, unittest.TestCase):
    def test_points_are_registers_while_shards_and_leaders_move(self):
        cluster = ClusterProcess(workers=4, placement=3, gateways=2, flags=("--heartbeat-ms", "300"))
        self.addCleanup(cluster.destroy)
        self.run_seed(cluster)
        check_replicas(cluster, Api(cluster.http), "registers")
        cluster.stop()

    def make_faults(self, cluster, rng, end):
        """One worker at a time is drained until it is empty, or for a moment, or stops in good order and comes back."""
        done, api = [], Api(cluster.http)
        while time.monotonic() < end:
            name = rng.choice(cluster.names("worker"))
            worker = cluster.nodes[name]["id"]
            kind = rng.choice(["drain", "drain for a moment", "stop"])
            done.append(kind)
            if kind == "stop":
                cluster.terminate(name)
                cluster.start(name)
                continue
            self.drain(api, worker, cancel=False)
            if kind == "drain":
                deadline = Deadline(60, f"an empty worker\n{cluster.logs()}")
                while any(str(worker) in map(str, shard["replicas"]) for shard in api.status("registers").get("shards", [{"replicas": [worker]}])):
                    deadline.pause()
            else:
                time.sleep(rng.uniform(0.1, 2))
            self.drain(api, worker, cancel=True)
            api.call("POST", "/v1/admin/rebalance", {"dryRun": False})
        return done

    def drain(self, api, worker, cancel):
        deadline = Deadline(30, "an answer of placement")
        while api.call("POST", f"/v1/admin/workers/{worker}/drain", {"cancel": cancel})[0] != 200:
            deadline.pause()


if __name__ == "__main__":
    unittest.main()
