"""What a cluster does when parts of it end, stop, come back, or are not what they say."""
import json
import os
import subprocess
import threading
import time
import unittest

from clients import Api, DIMENSION, Numbers, patiently, settled
from cluster_process import BINARY, ClusterProcess, busy
from crew import Crew

RESUME_SECONDS = 3  # within which writes resume after the end of a leader
TRIES = 3  # at that: what else the machine does may hold up one


class Writers(Crew):
    """Write distinct points one after the other and remember which were acknowledged, and when."""

    def __init__(self, cluster, collection, threads=4):
        self.cluster = cluster
        self.acknowledged = []  # (moment, id)
        self.lock = threading.Lock()
        self.numbers = Numbers()
        super().__init__([self.writer(Api(cluster.http, timeout=20), collection) for _ in range(threads)])

    def writer(self, api, collection):
        def step():
            number = self.numbers.next()
            status, _ = api.upsert(collection, f"p{number}", number)
            if status == 200:
                with self.lock:
                    self.acknowledged.append((time.monotonic(), f"p{number}"))
        return step

    def count(self):
        with self.lock:
            return len(self.acknowledged)

    def await_more(self, writes):
        seen = self.count()
        self.cluster.until("writes", lambda: self.failures or self.count() >= seen + writes)

    def longest_wait(self, since):
        """Seconds of the longest silence: every writer is soon held up by a shard that has no leader."""
        with self.lock:
            moments = [since] + sorted(when for when, _ in self.acknowledged if when > since)
        return max(after - before for before, after in zip(moments, moments[1:]))


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = ClusterProcess(workers=3, placement=3, gateways=1)

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()
        cls.cluster.destroy()

    def setUp(self):
        self.api = Api(self.cluster.http)
        self.name = self.id().rsplit(".", 1)[1][:100]
        self.api.make(self.name, 2, 3)

    def leader(self, shard=0):
        found = self.cluster.until("a leader", lambda: int(self.api.status(self.name)["shards"][shard]["leaderId"]))
        return self.cluster.worker_name(found)

    def stored(self):
        return {point["id"] for point in self.api.scan(self.name)}

    def check_nothing_lost(self, writers):
        missing = {point for _, point in writers.acknowledged} - self.stored()
        if missing:  # tell a loss from a read that did not see all
            read = {point: self.api.get(self.name, point)[0] for point in sorted(missing)[:20]}
            again = {point for _, point in writers.acknowledged} - self.stored()
            self.fail(f"a scan lacks {len(missing)} acknowledged writes, a second one {len(again)}; single reads say "
                      f"{read}\n{self.cluster.logs()}")

    def test_a_killed_leader_costs_no_write_and_little_time(self):
        for _ in range(TRIES):
            with Writers(self.cluster, self.name) as writers:
                writers.await_more(100)
                victim = self.leader()
                self.cluster.kill(victim)
                killed = time.monotonic()
                writers.await_more(200)
                self.cluster.start(victim)
            held_up = writers.longest_wait(killed)
            print(f"writes were held up for {held_up:.2f} s by the kill of a leader")
            self.check_nothing_lost(writers)
            bar = RESUME_SECONDS * (2 if busy() else 1)  # twice when others use the processors too
            if held_up <= bar:
                return
        self.fail(f"writes were held up for longer than {bar} s, {TRIES} times in a row\n{self.cluster.logs()}")

    def test_a_write_goes_on_where_a_leader_stopped_answering(self):
        self.api.write(self.name, "a", 1)
        victim = self.leader(0)
        self.cluster.pause(victim)  # it still accepts connections
        try:
            for number in range(20):  # some of them are for its shards
                self.api.write(self.name, f"q{number}", number)
        finally:
            self.cluster.resume(victim)
        self.assertLessEqual({f"q{number}" for number in range(20)}, self.stored())

    def test_a_write_with_a_request_id_applies_once_across_a_change_of_leader(self):
        first = self.api.write(self.name, "once", 1, requestId="r-1")
        self.api.write(self.name, "once", 2)
        for victim in {self.leader(0), self.leader(1)}:
            self.cluster.kill(victim)
            again = self.api.write(self.name, "once", 1, requestId="r-1")
            self.assertEqual(again["versions"], first["versions"])
            self.cluster.start(victim)
        self.assertEqual(patiently(lambda: self.api.get(self.name, "once"))["point"]["payload"]["number"], 2)

    def test_known_shards_are_served_without_placement(self):
        for name in self.cluster.names("placement"):
            self.cluster.kill(name)
        try:
            self.api.write(self.name, "a", 1)
            patiently(lambda: self.api.get(self.name, "a"))
            patiently(lambda: self.api.search(self.name, [1.0] * DIMENSION))
        finally:
            for name in self.cluster.names("placement"):
                self.cluster.start(name)
        self.api.make(self.name + "-2", 2, 3)
        self.assertIn(self.name, patiently(lambda: self.api.call("GET", "/v1/collections"))["collections"])

    def test_everything_is_there_after_all_were_killed(self):
        for number in range(50):
            self.api.write(self.name, f"p{number}", number)
        for name in self.cluster.nodes:
            self.cluster.kill(name)
        for name in [*self.cluster.names("placement"), *self.cluster.names("worker"), *self.cluster.names("gateway")]:
            self.cluster.start(name)
        self.assertEqual(self.stored(), {f"p{number}" for number in range(50)})

    def test_a_worker_that_stops_in_good_order_hands_over(self):
        with Writers(self.cluster, self.name) as writers:
            writers.await_more(100)
            victim = self.leader()
            self.cluster.terminate(victim)
            writers.await_more(200)
            self.cluster.start(victim)
        self.check_nothing_lost(writers)

    def test_a_node_without_the_secret_is_kept_out(self):
        secret = os.path.join(self.cluster.data, "wrong.secret")
        with open(secret, "w", encoding="utf-8") as file:
            file.write("not-the-secret-of-this-cluster\n")
        placement = ",".join(self.cluster.nodes[name]["grpc"] for name in self.cluster.names("placement"))
        done = subprocess.run([BINARY, "worker", "--data", os.path.join(self.cluster.data, "stranger"), "--grpc", "127.0.0.1:0",
                               "--raft", "127.0.0.1:0", "--placement", placement, "--cluster-secret-file", secret],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("the cluster's credential is missing or wrong", done.stderr)
        self.assertNotIn("not-the-secret", done.stderr)

    def test_new_collections_go_where_they_should(self):
        for shard in self.api.status(self.name)["shards"]:
            self.assertEqual(len(set(shard["replicas"])), 3)
        self.assertEqual(settled(lambda: self.api.create("too-many", 1, 7))[0], 400)  # more replicas than workers
        self.api.make("by-default", 0, 0)  # as the cluster sees fit
        self.assertEqual([len(shard["replicas"]) for shard in self.api.status("by-default")["shards"]], [3])
        self.assertEqual(settled(lambda: self.api.create(self.name, 2, 3))[0], 409)
        self.assertEqual(settled(lambda: self.api.call("DELETE", "/v1/collections/never-made"))[0], 404)
        self.assertEqual(settled(lambda: self.api.call("DELETE", f"/v1/collections/{self.name}"))[0], 200)
        self.assertEqual(settled(lambda: self.api.call("DELETE", f"/v1/collections/{self.name}"))[0], 404)
        self.assertEqual(settled(lambda: self.api.get(self.name, "a"))[0], 404)


class Script(unittest.TestCase):
    def test_what_is_up_is_described(self):
        cluster = ClusterProcess(workers=1, placement=1, gateways=1)
        self.addCleanup(cluster.destroy)
        with open(os.path.join(cluster.data, "cluster.json"), encoding="utf-8") as file:
            self.assertEqual(len(json.load(file)["nodes"]), 3)
        self.assertEqual(oct(os.stat(os.path.join(cluster.data, "cluster.secret")).st_mode & 0o777), "0o600")
        api = Api(cluster.http)
        api.make("one", 1, 1)
        api.write("one", "a", 1)
        cluster.stop()
        for node in cluster.nodes.values():
            self.assertEqual(cluster._state(node["pid"]), "Z")


class Strangers(unittest.TestCase):
    def test_a_worker_of_another_cluster_is_turned_away_and_loses_nothing(self):
        its, other = (ClusterProcess(workers=1, placement=1, gateways=1) for _ in range(2))
        for cluster in (its, other):
            self.addCleanup(cluster.destroy)
        api = Api(its.http)
        api.make("one", 1, 1)
        api.write("one", "a", 1)
        its.terminate("worker-1")
        done = subprocess.run([BINARY, "worker", "--data", its.nodes["worker-1"]["data"], "--grpc", "127.0.0.1:0", "--raft", "127.0.0.1:0",
                               "--placement", other.nodes["placement-1"]["grpc"],
                               "--cluster-secret-file", os.path.join(other.data, "cluster.secret")],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 3)
        self.assertRegex(done.stderr, "this is cluster [0-9a-f]+, the caller belongs to [0-9a-f]+")
        its.start("worker-1")
        self.assertEqual(patiently(lambda: api.get("one", "a"))["point"]["payload"]["number"], 1)
        for cluster in (its, other):
            cluster.stop()


if __name__ == "__main__":
    unittest.main()
