"""30 SIGKILLs of random nodes, several at a time now and then; no acknowledged write may be lost.

VECTRON_KILLS and VECTRON_SEED change how many and which; a failure prints the seed.
"""
import os
import random
import time
import unittest

from clients import Api
from cluster_process import ClusterProcess, Deadline
from test_faults import Writers

KILLS = int(os.environ.get("VECTRON_KILLS", "30"))


class Kills(unittest.TestCase):
    def test_acknowledged_writes_survive(self):
        seed = int(os.environ.get("VECTRON_SEED", random.SystemRandom().randrange(1 << 32)))
        rng = random.Random(seed)
        print(f"seed {seed}")
        cluster = ClusterProcess(workers=3, placement=3, gateways=1)
        self.addCleanup(cluster.destroy)
        api = Api(cluster.http)
        self.assertEqual(api.create("ledger", 4, 3)[0], 200, cluster.logs())
        killed = 0
        with Writers(cluster.http, "ledger") as writers:
            while killed < KILLS:
                # Any number of nodes at once: what is acknowledged is on disks, not in processes.
                victims = rng.sample(sorted(set(cluster.nodes) - set(cluster.names("gateway"))), rng.choice([1, 1, 1, 2, 3]))
                time.sleep(rng.uniform(0.2, 1.5))
                for name in victims:
                    cluster.kill(name)
                killed += len(victims)
                time.sleep(rng.uniform(0, 1))
                for name in victims:
                    cluster.start(name)
            seen = writers.count()
            deadline = Deadline(30, "writes after the last kill\n" + cluster.logs())
            while writers.count() < seen + 100:
                deadline.pause()
        stored, after = set(), ""
        while True:
            status, answer = api.call("POST", "/v1/collections/ledger/points/scroll", {"limit": 10_000, "afterId": after})
            self.assertEqual(status, 200, answer)
            stored.update(point["id"] for point in answer["points"])
            after = answer["nextAfterId"]
            if not after:
                break
        missing = {point for _, point in writers.acknowledged} - stored
        print(f"{killed} kills, {writers.count()} acknowledged writes, {len(missing)} lost")
        self.assertEqual(missing, set(), f"seed {seed}\n{cluster.logs()}")
        cluster.stop()


if __name__ == "__main__":
    unittest.main()
