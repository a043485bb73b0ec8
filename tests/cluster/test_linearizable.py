"""Real processes, random ends and pauses of nodes, and a history that must be linearizable per point.

VECTRON_CLUSTER_SECONDS (default 60) and VECTRON_SEED change how long and what; a failure prints both.
"""
import time
import unittest

from clients import Api
from cluster_process import ClusterProcess
from history import History
from replicas import check_replicas


class Linearizable(History, unittest.TestCase):
    def test_points_are_registers_whatever_ends_or_stops(self):
        cluster = ClusterProcess(workers=3, placement=3, gateways=2)
        self.addCleanup(cluster.destroy)
        self.run_seed(cluster)
        check_replicas(cluster, Api(cluster.http), "registers")
        cluster.stop()

    def make_faults(self, cluster, rng, end):
        """One node at a time is killed or stopped for a while."""
        faults = []
        while time.monotonic() < end:
            time.sleep(rng.uniform(1, 3))
            name = rng.choice(cluster.names("worker") * 3 + cluster.names("placement") + cluster.names("gateway"))
            if rng.random() < 0.6:
                faults.append("kill")
                cluster.kill(name)
                time.sleep(rng.uniform(0, 4))
                cluster.start(name)
            else:
                faults.append("pause")
                cluster.pause(name)
                time.sleep(rng.uniform(0.5, 5))
                cluster.resume(name)
        return faults


if __name__ == "__main__":
    unittest.main()
