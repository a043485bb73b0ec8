"""Nodes in networks of their own that are cut from each other in one or both directions or into a ring, that lose or get late what is
sent, that are killed, stopped and slowed down, while shards move; a history that must be linearizable per point, and no acknowledged write lost.

VECTRON_CLUSTER_SECONDS (default 60) and VECTRON_SEED change how long and what; a failure prints both.
"""
import functools
import random
import time
import unittest
import zlib

import delayer
import namespaces
from clients import Api
from history import History

AT_ONCE = 2  # faults; more leave nothing to look at
KINDS = {"kill": 4, "pause": 3, "one-way": 4, "two-way": 3, "deaf": 2, "mute": 2, "alone": 2, "flaky": 2, "slow": 1, "drain": 1, "ring": 2,
         "lossy": 3, "late": 2}  # how often each
STREAM_BYTES = 300_000
SENT = 300  # datagrams, of which 30 % are to be lost: 210 arrive, give or take eight


def ring_cuts(ring):
    """Pairs of nodes that are cut from each other so that each still has a majority with its neighbours, and no two have the same one.
    Three or fewer nodes have only neighbours."""
    size = len(ring)
    reach = (size // 2 + 1) // 2  # neighbours to each side
    return [(ring[i], ring[j]) for i in range(size) for j in range(i) if min(i - j, size - i + j) > reach]


class Nemesis:
    """Makes faults, each for a while."""

    def __init__(self, cluster, rng):
        self.cluster = cluster
        self.network = cluster.network
        self.rng = rng
        self.api = Api(cluster.http)
        self.made = []
        self.active = []  # (when it ends, the node it is about, how to end it)
        self.draining = None
        self.kinds = dict(KINDS)
        if not self.network.can_lose:
            print("NOT MADE: faults of kind 'lossy', as this machine has no nftables", flush=True)
            del self.kinds["lossy"]

    def run(self, end):
        while time.monotonic() < end:
            time.sleep(self.rng.uniform(0.2, 1.5))
            self.end_those_of(time.monotonic())
            if len(self.active) < AT_ONCE:
                self.make_one()
        self.end_those_of(float("inf"))
        for name in list(self.cluster.children):
            self.cluster.wait_ready(name)
        self.drain(None)
        return self.made

    def end_those_of(self, moment):
        over = [fault for fault in self.active if fault[0] <= moment]
        self.active = [fault for fault in self.active if fault[0] > moment]
        for _, _, end in over:
            end()

    def make_one(self):
        kind = self.rng.choices(list(self.kinds), list(self.kinds.values()))[0]
        busy = {name for _, name, _ in self.active}
        name = self.rng.choice([name for name in self.cluster.names("worker") * 2 + self.cluster.names("placement") if name not in busy])
        self.made.append(kind)
        if kind == "drain":
            self.drain(self.rng.choice([None, *self.cluster.names("worker")]))
            return
        makers = {"kill": self.kill, "pause": self.pause, "slow": self.slow, "late": self.late, "lossy": self.lossy, "ring": self.ring}
        end = makers.get(kind, functools.partial(self.cut, kind))(name)
        self.active.append((time.monotonic() + self.rng.uniform(0.5, 6), name, end))

    def kill(self, name):
        self.cluster.kill(name)
        return lambda: self.cluster.launch(name)

    def pause(self, name):
        self.cluster.pause(name)
        return lambda: self.cluster.resume(name)

    def slow(self, name):
        self.network.throttle(name)
        return lambda: self.network.free(name)

    def late(self, name):
        """What the node says, or hears, or both."""
        there, back = self.paths(name)
        paths = self.rng.choice([there, back, there + back])
        self.each(self.network.delay, paths)
        return lambda: self.each(self.network.hurry, paths)

    def lossy(self, name):
        self.network.lose(name)
        return lambda: self.network.lose_no_more(name)

    def ring(self, name):
        """Of all nodes, in an order of which the name is one. The gateways hear all of them."""
        others = [other for other in self.network.names if other not in (namespaces.HUB, name)]
        pairs = ring_cuts([name, *self.rng.sample(others, len(others))])
        paths = pairs + [(target, source) for source, target in pairs]
        self.each(self.network.cut, paths)
        return lambda: self.each(self.network.heal, paths)

    def paths(self, name):
        """Those from the node, and those to it from the same others."""
        others = [other for other in self.network.names if other != name]
        return [(name, other) for other in others], [(other, name) for other in others]

    def cut(self, kind, name):
        """One path of the node, or all, in one direction or both."""
        there, back = self.paths(name)
        if kind in ("one-way", "two-way", "flaky"):
            some = self.rng.randrange(len(there))
            there, back = [there[some]], [back[some]]
        paths = {"one-way": there, "mute": there, "deaf": back}.get(kind, there + back)
        if kind == "flaky":
            for _ in range(5):
                self.each(self.network.cut, paths)
                time.sleep(self.rng.uniform(0.02, 0.2))
                self.each(self.network.heal, paths)
                time.sleep(self.rng.uniform(0.02, 0.2))
        self.each(self.network.cut, paths)
        return lambda: self.each(self.network.heal, paths)

    @staticmethod
    def each(change, paths):
        for source, target in paths:
            change(source, target)

    def drain(self, name):
        """Moves all off one worker, and lets the one before have shards again: leaderships and replicas move. It is best effort, as
        placement may not be there to hear it."""
        for worker, cancel in ((self.draining, True), (name, False)):
            if worker is not None:
                self.api.call("POST", f"/v1/admin/workers/{self.cluster.nodes[worker]['id']}/drain", {"cancel": cancel})
        self.draining = name


class Partitions(History, unittest.TestCase):
    def test_points_are_registers_whatever_the_network_loses(self):
        if namespaces.run(self):
            return
        cluster = namespaces.NamespacedCluster(workers=4, placement=3, gateways=1, flags=("--dead-after-ms", "5000"))
        self.addCleanup(cluster.destroy)
        self.check_cuts(cluster.network)
        if cluster.network.can_lose:
            self.check_losses(cluster.network)
        self.check_delays(cluster.network)
        self.run_seed(cluster)
        cluster.stop()

    def make_faults(self, cluster, rng, end):
        return Nemesis(cluster, rng).run(end)

    def check_cuts(self, network):
        """The faults are real: a cut loses what is sent one way, and nothing else."""
        here, there = network.names[1:3]
        with network.listen(there) as first:
            network.cut(here, there)
            network.send(here, there, "lost")
            with network.listen(here) as back:
                network.send(there, here, "not lost")
                self.assertEqual(back.stdout.read().strip(), "not lost")
            network.heal(here, there)
            network.send(here, there, "healed")
            self.assertEqual(first.stdout.read().strip(), "healed")

    def check_losses(self, network):
        here, there = network.names[1:3]
        with network.count(there) as counter:
            network.lose(there)
            network.send(here, there, "one of many", SENT)
            network.lose_no_more(there)
            network.send(here, there, "end")
            arrived = int(counter.stdout.read())
        self.assertLess(abs(arrived - SENT * (100 - namespaces.LOSS_PERCENT) // 100), 60, "datagrams that were not lost")

    def check_delays(self, network):
        """What is sent on a late path comes, not before the shortest delay; a cut is stronger; and streams stay whole."""
        here, there = network.names[1:3]
        network.delay(here, there)
        with network.listen(there) as listener:
            network.cut(here, there)
            network.send(here, there, "lost")
            network.heal(here, there)
            network.send(here, there, "late")
            self.assertEqual(listener.stdout.read().strip(), "late")
        with network.travel(there) as clock:
            network.send_time(here, there)
            self.assertGreaterEqual(float(clock.stdout.read()), delayer.SECONDS[0])
        with network.drain(there) as listener:
            network.send_stream(here, there, 1, STREAM_BYTES)
            whole = zlib.crc32(random.Random(1).randbytes(STREAM_BYTES))
            self.assertEqual(listener.stdout.read().strip(), f"{STREAM_BYTES} {whole}")
        network.hurry(here, there)


class Ring(unittest.TestCase):
    def test_each_node_has_a_majority_of_its_own(self):
        for size in range(4, 10):
            nodes = [f"n{i}" for i in range(size)]
            cuts = ring_cuts(nodes)
            self.assertEqual(len(cuts), len({frozenset(pair) for pair in cuts}))
            seen = {frozenset(other for other in nodes if (node, other) not in cuts and (other, node) not in cuts) for node in nodes}
            self.assertEqual(len(seen), size)
            self.assertTrue(all(len(some) > size // 2 for some in seen), seen)
        self.assertEqual(ring_cuts(["a", "b", "c"]), [])


if __name__ == "__main__":
    unittest.main()
