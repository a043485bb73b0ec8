"""What operators of a cluster see: workers with their shards, a worker that dies and comes back."""
import os
import threading
import unittest

from clients import Api
from cluster_process import ClusterProcess, Deadline


class Operators(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        os.environ["VECTRON_SAMPLE_INTERVAL_MS"] = "200"
        os.environ["VECTRON_ALERT_DISK_PERCENT"] = "100"
        os.environ["VECTRON_ALERT_MEMORY_PERCENT"] = "100"
        cls.cluster = ClusterProcess(workers=3, placement=1, gateways=1, flags=("--heartbeat-ms", "300"))
        cls.api = Api(cls.cluster.http)

    @classmethod
    def tearDownClass(cls):
        cls.api.close()
        cls.cluster.stop()
        cls.cluster.destroy()

    def get(self, path):
        status, answer = self.api.call("GET", path)
        self.assertEqual(status, 200, answer)
        return answer

    def until(self, what, check):
        deadline = Deadline(90, what)
        while not (found := check()):
            deadline.pause()
        return found

    def docs(self):
        return next(c for c in self.get("/v1/admin/collections")["collections"] if c["name"] == "docs")

    def active(self, rule):
        return [a for a in self.get("/v1/alerts?status=active")["alerts"] if a["rule"] == rule]

    def test_a_worker_that_dies_is_told_and_forgotten_when_it_is_back(self):
        self.assertEqual(self.api.create("docs", 2, 3)[0], 200, self.cluster.logs())
        for number in range(100):
            self.assertEqual(self.api.upsert("docs", f"p{number}", number)[0], 200, self.cluster.logs())
        self.until("all replicas", lambda: self.docs()["status"] == "ready")
        workers = self.until("every worker's replicas", lambda: [
            w for w in self.get("/v1/admin/workers")["workers"] if w["stats"]["vector_count"] == 100])
        self.until("three such workers", lambda: all(
            w["stats"]["vector_count"] == 100 and w["healthy"] for w in self.get("/v1/admin/workers")["workers"]))
        workers = self.get("/v1/admin/workers")
        self.assertEqual(workers["count"], 3)
        names = {f"worker-{w['worker_id']}" for w in workers["workers"]}
        for worker in workers["workers"]:
            self.assertEqual((worker["state"], worker["collections"], len(worker["stats"]["shard_info"])), ("READY", ["docs"], 2))
            self.assertGreater(worker["stats"]["memory_bytes"], 0)
            self.assertGreater(worker["stats"]["disk_total_bytes"], 0)
        docs = self.docs()
        self.assertEqual((docs["vector_count"], docs["replication_factor"]), (100, 3))
        for shard in docs["shards"]:
            self.assertIn(shard["leader_id"], names)
            self.assertEqual(set(shard["worker_ids"]), names)
        self.assertEqual(self.until("health", lambda: self.get("/v1/system/health")["overall_status"] == "healthy"), True)

        victim = workers["workers"][0]["worker_id"]
        name = self.cluster.worker_name(int(victim))
        self.cluster.kill(name)
        alert = self.until("the alert", lambda: self.active("worker_down"))[0]
        self.assertEqual((alert["source"], alert["level"]), (f"worker-{victim}", "critical"))
        self.assertNotEqual(self.get("/v1/system/health")["overall_status"], "healthy")
        self.until("new leaders", lambda: self.docs()["status"] == "degraded")
        self.until("the alert of its shards", lambda: len(self.active("shard_under_replicated")) == 2)
        dead = next(w for w in self.get("/v1/admin/workers")["workers"] if w["worker_id"] == victim)
        self.assertFalse(dead["healthy"])

        self.cluster.start(name)
        self.until("no alerts", lambda: self.get("/v1/alerts?status=active")["count"] == 0)
        self.assertEqual(self.docs()["status"], "ready")
        resolved = [a for a in self.get("/v1/alerts?status=resolved")["alerts"] if a["id"] == alert["id"]]
        self.assertEqual([a["resolvedBy"] for a in resolved], ["system"])

    def test_a_gateway_without_a_map_says_so_and_takes_no_collection_for_missing(self):
        self.assertEqual(self.api.create("early", 1, 1)[0], 200, self.cluster.logs())
        self.cluster.kill("gateway-1")
        self.cluster.kill("placement-1")
        starting = threading.Thread(target=self.cluster.start, args=("gateway-1",))  # which returns when it has the map
        starting.start()
        try:
            self.until("the gateway's port", lambda: self.api.call("GET", "/readyz")[0] == 503)
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
        self.until("the map", lambda: self.api.call("GET", "/readyz")[0] == 200)
        self.until("the collection", lambda: self.api.call("GET", "/v1/collections/early/status")[0] == 200)
        self.until("its end", lambda: self.api.call("DELETE", "/v1/collections/early")[0] in (200, 404))
        self.until("health", lambda: self.get("/v1/system/health")["overall_status"] == "healthy")

    def test_a_plan_of_moves_can_be_asked_for(self):
        status, plan = self.api.call("POST", "/v1/admin/rebalance", {"dryRun": True})
        self.assertEqual((status, plan["started"]), (200, False), plan)
        self.assertEqual(self.api.call("POST", "/v1/admin/workers/77/drain", {})[0], 404)


if __name__ == "__main__":
    unittest.main()
