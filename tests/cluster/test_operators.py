"""What operators of a cluster see: workers with their shards, a worker that dies and comes back."""
import os
import threading
import time
import unittest

from clients import Api, patiently, settled
from cluster_process import ClusterProcess

NEVER = {"DISK_PERCENT": "100", "MEMORY_PERCENT": "100", "LATENCY_MS": "100000"}  # what a busy machine raises is not looked at


class Operators(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        os.environ["VECTRON_SAMPLE_INTERVAL_MS"] = "200"
        os.environ.update({f"VECTRON_ALERT_{name}": value for name, value in NEVER.items()})
        cls.cluster = ClusterProcess(workers=3, placement=1, gateways=1, flags=("--heartbeat-ms", "300"))
        cls.api = Api(cls.cluster.http)

    @classmethod
    def tearDownClass(cls):
        cls.api.close()
        cls.cluster.stop()
        cls.cluster.destroy()

    def get(self, path):
        return patiently(lambda: self.api.call("GET", path))

    def docs(self):
        return next(c for c in self.get("/v1/admin/collections")["collections"] if c["name"] == "docs")

    def docs_in(self, status):
        docs = self.docs()
        return docs if docs["status"] == status else None

    def workers(self):
        """By id."""
        return {int(worker["worker_id"]): worker for worker in self.get("/v1/admin/workers")["workers"]}

    def all_workers_with(self, points):
        """The workers, once all are well and have so many points."""
        workers = self.workers()
        return workers if all(w["healthy"] and w["stats"]["vector_count"] == points for w in workers.values()) else None

    def active(self, rule, source=None):
        return [a for a in self.get("/v1/alerts?status=active")["alerts"] if a["rule"] == rule and source in (None, a["source"])]

    def overall_is(self, status):
        return self.get("/v1/system/health")["overall_status"] == status

    def test_a_worker_that_dies_is_told_and_forgotten_when_it_is_back(self):
        until = self.cluster.until
        self.api.make("docs", 2, 3)
        for number in range(100):
            self.api.write("docs", f"p{number}", number)
        workers = until("every worker's replicas", lambda: self.all_workers_with(100))
        self.assertEqual(len(workers), 3)
        for worker in workers:  # placement's numbers are those of the cluster's process list
            self.assertEqual(self.cluster.worker_name(worker), f"worker-{worker}")
        names = {f"worker-{worker}" for worker in workers}
        for worker in workers.values():
            self.assertEqual((worker["state"], worker["collections"], len(worker["stats"]["shard_info"])), ("READY", ["docs"], 2))
            self.assertGreater(worker["stats"]["memory_bytes"], 0)
            self.assertGreater(worker["stats"]["disk_total_bytes"], 0)
        docs = until("a collection in good order", lambda: self.docs_in("ready"))
        self.assertEqual((docs["vector_count"], docs["replication_factor"]), (100, 3))
        for shard in docs["shards"]:
            self.assertIn(shard["leader_id"], names)
            self.assertEqual(set(shard["worker_ids"]), names)
        until("health", lambda: self.overall_is("healthy"))

        victim = min(workers)
        name = self.cluster.worker_name(victim)
        killed = time.monotonic()
        self.cluster.kill(name)
        alert = until("the alert", lambda: self.active("worker_down", f"worker-{victim}"))[0]
        self.assertEqual(alert["level"], "critical")
        until("an overall status that says so", lambda: self.overall_is("critical"))
        until("new leaders", lambda: self.docs_in("degraded"))
        until("the alert of its shards", lambda: len(self.active("shard_under_replicated")) == 2)
        self.assertFalse(self.workers()[victim]["healthy"])

        self.cluster.start(name)
        until("the time since its start", lambda: 0 < self.workers()[victim]["stats"]["uptime"] < time.monotonic() - killed)
        until("no alerts", lambda: self.get("/v1/alerts?status=active")["count"] == 0)
        until("a collection in good order", lambda: self.docs_in("ready"))
        resolved = [a for a in self.get("/v1/alerts?status=resolved")["alerts"] if a["id"] == alert["id"]]
        self.assertEqual([a["resolvedBy"] for a in resolved], ["system"])

    def test_a_gateway_without_a_map_says_so_and_takes_no_collection_for_missing(self):
        self.api.make("early", 1, 1)
        self.cluster.kill("gateway-1")
        self.cluster.kill("placement-1")
        starting = threading.Thread(target=self.cluster.start, args=("gateway-1",))  # which returns when it has the map
        starting.start()
        try:
            self.cluster.until("the gateway's port", lambda: self.api.call("GET", "/readyz")[0] == 503)
            status, answer = self.api.call("GET", "/readyz")
            self.assertEqual((status, answer["ready"]), (503, False), answer)
            self.assertIn("map of the cluster", answer["problems"][0])
            self.assertEqual(self.api.call("GET", "/healthz")[0], 200)
            for path in ("/v1/collections", "/v1/collections/early/status", "/v1/admin/collections"):
                self.assertEqual(self.api.call("GET", path)[0], 503, path)
            self.assertNotEqual(self.get("/v1/system/health")["overall_status"], "healthy")
        finally:
            self.cluster.start("placement-1")
            starting.join()
        self.cluster.until("the map", lambda: self.api.call("GET", "/readyz")[0] == 200)
        self.cluster.until("the collection", lambda: self.api.call("GET", "/v1/collections/early/status")[0] == 200)
        self.cluster.until("its end", lambda: self.api.call("DELETE", "/v1/collections/early")[0] in (200, 404))
        self.cluster.until("health", lambda: self.get("/v1/system/health")["overall_status"] == "healthy")

    def test_a_plan_of_moves_can_be_asked_for(self):
        self.assertFalse(patiently(lambda: self.api.call("POST", "/v1/admin/rebalance", {"dryRun": True}))["started"])
        self.assertEqual(settled(lambda: self.api.call("POST", "/v1/admin/workers/77/drain", {}))[0], 404)


if __name__ == "__main__":
    unittest.main()
