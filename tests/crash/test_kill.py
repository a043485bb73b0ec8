"""kill -9 under load, over and over: no acknowledged write is lost, nothing comes back, nothing is half."""

import http.client
import os
import random
import shutil
import tempfile
import threading
import time
import unittest

from ledger import DIMENSION, GONE, Chain, Ledger, await_ready, point_of, stored_points
from vectron_server import Server

CYCLES = int(os.environ.get("VECTRON_CRASH_CYCLES", 30))
SEED = int(os.environ.get("VECTRON_CRASH_SEED", random.SystemRandom().randrange(1 << 32)))


class Writer(threading.Thread):
    """Upserts and deletes its own points of one collection until the server is gone."""

    def __init__(self, server, collection, ledger, prefix, seed):
        super().__init__()
        self.api = server.client()
        self.collection, self.ledger, self.prefix = collection, ledger, prefix
        self.rng = random.Random(seed)
        self.error = None
        self.acknowledged = 0

    def step(self):
        ids = [f"{self.prefix}{self.rng.randrange(300)}" for _ in range(self.rng.choice([1, 1, 3, 20]))]
        if self.rng.random() < 0.2:
            return self.ledger.write(lambda: self.api.delete(self.collection, ids[0]), {ids[0]: GONE})
        number = self.rng.randrange(1, 1_000_000)
        changes = {point: number for point in ids}
        points = [point_of(point, number) for point in changes]
        return self.ledger.write(lambda: self.api.upsert(self.collection, points), changes)

    def run(self):
        try:
            while self.step():
                self.acknowledged += 1
        except BaseException as error:  # told to the test by join
            self.error = error


class Linker(Writer):
    """Appends to a linked list until the server is gone."""

    def step(self):
        return self.ledger.append(self.api, self.collection)


class CollectionMaker(threading.Thread):
    """Makes and deletes collections until the server is gone."""

    def __init__(self, server, known, unsure, seed):
        super().__init__()
        self.api = server.client()
        self.known, self.unsure = known, unsure  # names
        self.rng = random.Random(seed)
        self.error = None

    def run(self):
        try:
            while True:
                name = f"made{self.rng.randrange(6)}"
                self.unsure.add(name)
                answer = self.api.drop(name) if name in self.known else self.api.create(name, 4, shardCount=2)
                assert answer.status == 200, answer
                self.known ^= {name}
                self.unsure.discard(name)
        except (http.client.HTTPException, OSError):
            pass
        except BaseException as error:
            self.error = error


class Walk(unittest.TestCase):
    def test_what_is_missing_or_false_is_found(self):
        chain = Chain()
        chain.nodes = ["node1", "node3"]
        chain.check({"node1": "", "node3": "node1", "node4": "node3"})
        for before in ({"node3": "node1"}, {"node1": ""}, {"node1": "", "node3": ""}, {"node1": "", "node3": "node1", "node5": "node4"}):
            with self.assertRaises(AssertionError):
                chain.check(before)


class Kill(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vectron-crash-")
        self.data = os.path.join(self.folder, "data")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def test_no_acknowledged_write_is_lost(self):
        rng = random.Random(SEED)
        try:
            self.run_cycles(rng)
        except BaseException:
            print(f"replay: VECTRON_CRASH_SEED={SEED}")
            raise

    def run_cycles(self, rng):
        server = Server(self.data)
        api = server.client()
        ledgers = {("one", "a"): Ledger(), ("one", "b"): Ledger(), ("three", "a"): Ledger()}
        self.chain = Chain()
        for name, shards in [("one", 1), ("three", 3), ("list", 3)]:
            self.assertEqual(api.create(name, DIMENSION, shardCount=shards).status, 200)
        made, unsure = set(), set()
        total = 0
        for cycle in range(CYCLES):
            threads = [Writer(server, name, ledger, prefix, rng.randrange(1 << 32)) for (name, prefix), ledger in ledgers.items()]
            threads.append(Linker(server, "list", self.chain, "", 0))
            writers = list(threads)
            threads.append(CollectionMaker(server, made, unsure, rng.randrange(1 << 32)))
            for thread in threads:
                thread.start()
            time.sleep(rng.uniform(0.02, 0.3))  # the kill may come at any moment; this is not a wait for anything
            server.kill()
            for thread in threads:
                thread.join()
                if thread.error is not None:
                    raise thread.error
            total += sum(writer.acknowledged for writer in writers)
            server = Server(self.data)
            api = server.client()
            with self.subTest(cycle=cycle):
                self.check(api, ledgers, made, unsure)
        self.assertEqual(server.stop(), 0)
        self.assertGreater(total, CYCLES)
        self.assertTrue(self.chain.nodes)
        server = Server(self.data)
        self.check(server.client(), ledgers, made, unsure)
        self.assertEqual(server.stop(), 0)
        print(f"{CYCLES} kills, {total} acknowledged requests")

    def check(self, api, ledgers, made, unsure):
        names = set(api.call("GET", "/v1/collections").json["collections"]) - {"one", "three", "list"}
        self.assertLessEqual(made - unsure, names)
        self.assertLessEqual(names, made | unsure)
        made.clear()
        made.update(names)
        unsure.clear()
        for name in names:  # whole, whatever happened to them
            await_ready(self, api, name)
        for name in ("one", "three"):
            stored = stored_points(self, api, name)
            for (collection, prefix), ledger in ledgers.items():
                if collection == name:
                    ledger.settle({point: number for point, number in stored.items() if point.startswith(prefix)})
        self.chain.check({point["id"]: point["payload"]["before"] for point in api.scroll_all("list", limit=10_000)})
