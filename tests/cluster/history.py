"""What tests of linearizability share: clients under whatever faults, and the judgement of their history."""
import collections
import os
import random
import threading
import time

from clients import Api, Keys, Numbers, RegisterClient, merged
from cluster_process import Deadline
from leaders import leaders_of, rivals
from register_check import Op, Violation, check

SECONDS = float(os.environ.get("VECTRON_CLUSTER_SECONDS", "60"))
CLIENTS = 8
SHARDS = 3
HEAL_SECONDS = 5  # within which writes resume once everything runs and hears each other


class History:
    """For a TestCase. `make_faults(cluster, rng, end)` makes them until `end`, heals everything, and returns what it did."""

    def run_seed(self, cluster):
        seed = int(os.environ.get("VECTRON_SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"seed {seed}, {SECONDS:.0f} s", flush=True)
        with self.subTest(seed=seed, seconds=SECONDS):
            self.run_history(cluster, seed)

    def run_history(self, cluster, seed):
        api = Api(cluster.http)
        self.assertEqual(api.create("registers", SHARDS, 3)[0], 200, cluster.logs())
        stop, numbers = threading.Event(), Numbers()
        keys = Keys(24, 300, random.Random(seed))
        clients = [RegisterClient(cluster.http, "registers", keys, numbers, seed + i, stop) for i in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            faults = self.make_faults(cluster, random.Random(seed), time.monotonic() + SECONDS)
            healed = time.monotonic()
            time.sleep(HEAL_SECONDS)  # the load goes on, on a whole cluster
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
        print(f"{total} operations on {len(history)} points, {dict(collections.Counter(faults))}, errors {dict(errors)}", flush=True)
        self.assertEqual([answer for client in clients for answer in client.unexpected][:5], [])
        self.check_resumed(cluster, clients, healed)
        self.final_reads(api, history)
        for point, operations in sorted(history.items()):
            try:
                check(operations)
            except Violation as violation:
                self.fail(f"point {point}, seed {seed}: {violation}")

        self.check_leaders(cluster)

    def check_leaders(self, cluster):
        led = leaders_of(cluster)
        groups = {group for role, group, _ in led if role == "worker"}
        self.assertGreaterEqual(len(groups), SHARDS, "the logs tell of no leaders")
        print(f"{len(led)} leaderships of {len(groups)} shards and placement", flush=True)
        self.assertEqual(rivals(led), [])

    def check_resumed(self, cluster, clients, healed):
        """Writes of every shard were acknowledged soon after the last fault had gone: the clients use all shards in turn, so that each
        is soon held up by one that does not work."""
        for client in clients:
            after = [moment for moment in client.acknowledged if moment >= healed]
            self.assertTrue(after, f"a client's writes did not resume within {HEAL_SECONDS} s\n{cluster.logs()}")
        longest = max(min(moment for moment in client.acknowledged if moment >= healed) - healed for client in clients)
        print(f"every client's writes resumed within {longest:.2f} s", flush=True)

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
