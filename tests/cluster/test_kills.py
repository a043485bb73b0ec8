"""30 SIGKILLs of random nodes, several at a time now and then; no acknowledged write, overwrite or delete may be lost, and linked lists
stay whole.

VECTRON_KILLS and VECTRON_SEED change how many and which; a failure prints the seed.
"""
import os
import random
import time
import unittest

from chains import Chains
from clients import Api
from cluster_process import ClusterProcess
from owners import Owners

KILLS = int(os.environ.get("VECTRON_KILLS", "30"))


class Kills(unittest.TestCase):
    def test_acknowledged_writes_survive(self):
        seed = int(os.environ.get("VECTRON_SEED", random.SystemRandom().randrange(1 << 32)))
        rng = random.Random(seed)
        print(f"seed {seed}")
        cluster = ClusterProcess(workers=3, placement=3, gateways=1)
        self.addCleanup(cluster.destroy)
        Api(cluster.http).make("ledger", 4, 3)
        Api(cluster.http).make("lists", 4, 3)
        killed = 0
        with Owners(cluster, "ledger", seed=seed) as owners, Chains(cluster, "lists") as chains:
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
            owners.await_more(100, what="writes after the last kill")
            chains.await_more(20, what="nodes of lists after the last kill")
        faults = owners.faults() + chains.faults()
        print(f"{killed} kills, {owners.count()} acknowledged writes, {chains.count()} nodes of lists, {len(faults)} faults")
        self.assertEqual(faults[:10], [], f"{len(faults)} faults, seed {seed}\n{cluster.logs()}")
        cluster.stop()


if __name__ == "__main__":
    unittest.main()
