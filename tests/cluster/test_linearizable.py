"""Real processes, random ends and pauses of nodes, and a history that must be linearizable per point.

VECTRON_CLUSTER_SECONDS (default 60) and VECTRON_SEED change how long and what; a failure prints both.
"""
import collections
import os
import random
import threading
import time
import unittest

from clients import Api, Keys, Numbers, RegisterClient, merged
from cluster_process import ClusterProcess, Deadline
from register_check import Op, Violation, check

SECONDS = float(os.environ.get("VECTRON_CLUSTER_SECONDS", "60"))
CLIENTS = 8
SHARDS = 3


class Linearizable(unittest.TestCase):
    def test_points_are_registers_whatever_ends_or_stops(self):
        seed = int(os.environ.get("VECTRON_SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"seed {seed}, {SECONDS:.0f} s")
        cluster = ClusterProcess(workers=3, placement=3, gateways=2)
        self.addCleanup(cluster.destroy)
        with self.subTest(seed=seed, seconds=SECONDS):
            self.run_history(cluster, seed)
        cluster.stop()

    def run_history(self, cluster, seed):
        rng = random.Random(seed)
        api = Api(cluster.http)
        self.assertEqual(api.create("registers", SHARDS, 3)[0], 200, cluster.logs())
        stop, numbers = threading.Event(), Numbers()
        keys = Keys(24, 300, random.Random(seed))
        clients = [RegisterClient(cluster.http, "registers", keys, numbers, seed + i, stop) for i in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            faults = self.make_faults(cluster, rng, time.monotonic() + SECONDS)
            healed = time.monotonic()
            time.sleep(5)  # the load goes on, on a whole cluster
        finally:
            stop.set()
            for client in clients:
                client.join()
        for client in clients:
            if client.failure is not None:
                raise client.failure
        history = merged(clients)
        total = sum(len(operations) for operations in history.values())
        errors = collections.Counter()
        for client in clients:
            errors.update(client.errors)
        print(f"{total} operations on {len(history)} points, {len(faults)} faults, errors {dict(errors)}")
        self.assertEqual([answer for client in clients for answer in client.unexpected][:5], [])
        after = [moment for client in clients for moment in client.acknowledged if moment >= healed]
        self.assertTrue(after, "no write was acknowledged once everything ran again\n" + cluster.logs())
        self.assertLessEqual(min(after) - healed, 5, "writes did not resume within 5 s")
        self.final_reads(api, history)
        for point, operations in sorted(history.items()):
            try:
                check(operations)
            except Violation as violation:
                self.fail(f"point {point}, seed {seed}: {violation}")

    def make_faults(self, cluster, rng, end):
        """One node at a time is killed or stopped for a while."""
        faults = []
        while time.monotonic() < end:
            time.sleep(rng.uniform(1, 3))
            name = rng.choice(cluster.names("worker") * 3 + cluster.names("placement") + cluster.names("gateway"))
            if rng.random() < 0.6:
                faults.append(("kill", name))
                cluster.kill(name)
                time.sleep(rng.uniform(0, 4))
                cluster.start(name)
            else:
                faults.append(("pause", name))
                cluster.pause(name)
                time.sleep(rng.uniform(0.5, 5))
                cluster.resume(name)
        return faults

    def final_reads(self, api, history):
        """A last read of every point: nothing that was acknowledged may be missing."""
        deadline = Deadline(30, "the last reads")
        for point, operations in history.items():
            while True:
                begin = time.monotonic()
                status, answer = api.get("registers", point)
                if status in (200, 404):
                    break
                deadline.pause()  # the connection may be to a gateway that has been killed since
            op = Op("read", begin, time.monotonic())
            if status == 200:
                op.value = answer["point"]["payload"]["number"]
                op.version = int(answer["point"]["version"])
            operations.append(op)


if __name__ == "__main__":
    unittest.main()
