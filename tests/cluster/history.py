"""What tests of linearizability share: clients under whatever faults, and the judgement of their history."""
import collections
import contextlib
import os
import random
import tempfile
import time

from clients import Api, Keys, Numbers, RegisterClient, merged, settled
from cluster_process import busy
from crew import Crew
from leaders import leaders_of, rivals
from register_check import Op, save, violations

SECONDS = float(os.environ.get("VECTRON_CLUSTER_SECONDS", "60"))
CLIENTS = 8
SHARDS = 3
LEAST_PER_SECOND = 40  # operations of all clients: far less than any machine does, and enough to find something
HEAL_SECONDS = 5  # within which writes resume once everything runs and hears each other


@contextlib.contextmanager
def kept(history, about):
    """Saves what `history()` is by then when the body fails; register_check.py reads it again."""
    try:
        yield
    except BaseException:
        file, path = tempfile.mkstemp(prefix="vectron-history-", suffix=".json")
        os.close(file)
        save(path, history(), about)
        print(f"the history is kept: python3 tests/cluster/register_check.py {path}", flush=True)
        raise


class History:
    """For a TestCase. `make_faults(cluster, rng, end)` makes them until `end`, heals everything, and returns what it did."""

    def run_seed(self, cluster):
        seed = int(os.environ.get("VECTRON_SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"seed {seed}, {SECONDS:.0f} s", flush=True)
        with self.subTest(seed=seed, seconds=SECONDS):
            self.run_history(cluster, seed)

    def run_history(self, cluster, seed):
        api = Api(cluster.http)
        api.make("registers", SHARDS, 3)
        numbers, keys = Numbers(), Keys(24, 300, random.Random(seed))
        clients = [RegisterClient(cluster.http, "registers", keys, numbers, seed + i) for i in range(CLIENTS)]
        with kept(lambda: merged(clients), {"seed": seed, "seconds": SECONDS}):
            healed = self.load(cluster, clients, seed)
            self.judge(cluster, api, clients, healed)

    def load(self, cluster, clients, seed):
        """Makes faults under load; the moment when the last one was gone."""
        with Crew([client.step for client in clients]) as crew:
            faults = self.make_faults(cluster, random.Random(seed), time.monotonic() + SECONDS)
            healed = time.monotonic()
            time.sleep(HEAL_SECONDS)  # the load goes on, on a whole cluster
            cluster.until("writes of every client after the last fault", lambda: crew.failures or all(
                client.acknowledged and client.acknowledged[-1] >= healed for client in clients))
        history, errors = merged(clients), collections.Counter()
        total = sum(len(operations) for operations in history.values())
        for client in clients:
            errors.update(client.errors)
        least = int(LEAST_PER_SECOND * SECONDS)
        print(f"{total} operations (at least {least} are wanted) on {len(history)} points, {dict(collections.Counter(faults))}, "
              f"errors {dict(errors)}", flush=True)
        self.assertGreaterEqual(total, least, "operations: too few to say anything")
        return healed

    def judge(self, cluster, api, clients, healed):
        self.assertEqual([answer for client in clients for answer in client.unexpected][:5], [])
        self.check_gateways(cluster, clients)
        self.check_resumed(clients, healed)
        self.final_reads(api, clients[0], list(merged(clients)))
        self.assertEqual(violations(merged(clients))[:5], [])
        self.check_leaders(cluster)

    def check_leaders(self, cluster):
        led = leaders_of(cluster)
        groups = {group for role, group, _ in led if role == "worker"}
        self.assertGreaterEqual(len(groups), SHARDS, "the logs tell of no leaders")
        print(f"{len(led)} leaderships of {len(groups)} shards and placement", flush=True)
        self.assertEqual(rivals(led), [])

    def check_gateways(self, cluster, clients):
        """All of them served: what one does not know of another's writes shows only so."""
        answers = sum((client.api.answers for client in clients), collections.Counter())
        print(f"answers by gateway: {dict(answers)}", flush=True)
        self.assertEqual(set(answers), set(cluster.http))

    def check_resumed(self, clients, healed):
        """Writes of every shard were acknowledged soon after the last fault had gone: the clients use all shards in turn, so that each
        is soon held up by one that does not work."""
        longest = max(min(moment for moment in client.acknowledged if moment >= healed) - healed for client in clients)
        print(f"every client's writes resumed within {longest:.2f} s", flush=True)
        self.assertLessEqual(longest, HEAL_SECONDS * (4 if busy() else 1), "seconds until writes resumed")

    def final_reads(self, api, client, points):
        """A last read of every point, in that client's history: nothing that was acknowledged may be missing."""
        for point in points:
            begin = time.monotonic()
            status, answer = settled(lambda: api.get("registers", point))  # its gateway may have been killed since
            self.assertIn(status, (200, 404), answer)
            op = Op("read", begin, time.monotonic())
            if status == 200:
                op.value = answer["point"]["payload"]["number"]
                op.version = int(answer["point"]["version"])
            client.history.setdefault(point, []).append(op)
