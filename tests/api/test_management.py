"""What operators see: the six management routes, charts, alerts, slow queries, and what a restart keeps of them."""

import json
import os
import shutil
import tempfile
import time
import unittest

from vectron_server import FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, Server

WAIT_SECONDS = 60
SECRET_BOUND = 777_123_456_789  # of a filter; no time or count reads like it


class Management(unittest.TestCase):
    """Each test has a server of its own, with quick samples."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vectron-api-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.server = None
        self.addCleanup(self.stop)

    def start(self, *args):
        # The machine's own disk and memory raise nothing; a test that wants it says so, and the last value counts.
        self.server = Server(os.path.join(self.folder, "data"),
                             args=["--sample-interval-ms", "100", "--alert-disk-percent", "100", "--alert-memory-percent", "100", *args])
        self.api = self.server.client()

    def stop(self):
        if self.server is not None:
            self.api.close()
            self.assertEqual(self.server.stop(), 0, self.server.log())
            self.server = None

    def get(self, path):
        answer = self.api.call("GET", path)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        return answer.json

    def until(self, check):
        """Asks again until `check` gives something true; samples are taken in the background."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            found = check()
            if found:
                return found
            self.assertLess(time.monotonic(), deadline, "it never came")
            time.sleep(0.02)

    def fill(self, points=200, **options):
        self.assertEqual(self.api.create("docs", 4, **options).status, 200)
        batch = [{"id": f"p{i}", "vector": [i, 1, 2, 3], "payload": {"n": i}} for i in range(points)]
        self.assertEqual(self.api.upsert("docs", batch).status, 200)

    def test_health_has_the_keys_of_the_contract_and_true_numbers(self):
        self.start()
        self.fill(200, shardCount=2)
        health = self.get("/v1/system/health")
        self.assertEqual(set(health), {"overall_status", "services", "alerts", "metrics", "timestamp"})
        self.assertEqual(health["overall_status"], "healthy", health)
        self.assertEqual([s["name"] for s in health["services"]][:3], ["gateway", "placement", "worker-1"])
        for service in health["services"]:
            self.assertEqual(set(service), {"name", "status", "response_time", "endpoint", "last_check", "last_success"})
            self.assertEqual(service["status"], "up")
        self.assertEqual(health["services"][0]["endpoint"], self.server.ready["http"])
        metrics = health["metrics"]
        self.assertEqual(set(metrics), {"total_vectors", "total_collections", "active_workers", "storage_used",
                                        "memory_used", "cpu_usage", "network_io"})
        self.assertEqual((metrics["total_vectors"], metrics["total_collections"], metrics["active_workers"]), (200, 1, 1))
        with open(f"/proc/{self.server.process.pid}/statm") as statm:
            resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        self.assertAlmostEqual(metrics["memory_used"] / resident, 1, delta=0.3)
        self.assertGreater(metrics["network_io"]["bytes_in"], 200 * 20)
        self.assertLess(abs(health["timestamp"] - time.time() * 1000), 60_000)
        self.assertIsInstance(health["timestamp"], int)

    def test_stats_count_every_call(self):
        self.start()
        self.fill()
        for _ in range(10):
            self.assertEqual(self.api.search("docs", [1, 2, 3, 4]).status, 200)
        self.assertEqual(self.api.search("none", [1, 2, 3, 4]).status, 404)
        report = self.get("/v1/admin/stats")
        self.assertEqual(set(report), {"stats", "endpoints"})
        stats = report["stats"]
        for key in ["uptime", "totalRequests", "requestsPerSecond", "activeConnections", "errorRate",
                    "averageResponseTime", "rateLimit", "endpoints"]:
            self.assertIn(key, stats)
        self.assertEqual(set(stats["rateLimit"]), {"enabled", "rps", "activeUsers"})
        self.assertEqual(stats["totalRequests"], 13)
        self.assertAlmostEqual(stats["errorRate"], 100 / 13)
        self.assertGreaterEqual(stats["activeConnections"], 1)
        self.assertGreater(stats["requestsPerSecond"], 0)
        searches = [e for e in report["endpoints"] if e["rpc"].endswith("VectronService.Search")][0]
        self.assertEqual((searches["path"], searches["method"]), ("/v1/collections/{collection}/points/search", "POST"))
        self.assertEqual((searches["count"], searches["error_count"]), (11, 1))
        self.assertGreater(searches["avg_latency_ms"], 0)
        self.assertGreaterEqual(searches["p99_ms"], searches["p50_ms"])
        self.assertEqual(stats["endpoints"], report["endpoints"])

    def test_workers_and_collections_show_their_shards(self):
        self.start()
        self.fill(300, shardCount=3, distance="cosine")
        workers = self.get("/v1/admin/workers")
        self.assertEqual((set(workers), workers["count"]), ({"workers", "count"}, 1))
        worker = workers["workers"][0]
        for key in ["worker_id", "grpc_address", "raft_address", "collections", "healthy", "last_heartbeat", "metadata"]:
            self.assertIn(key, worker)
        self.assertEqual((worker["worker_id"], worker["collections"], worker["healthy"]), ("1", ["docs"], True))
        stats = worker["stats"]
        self.assertEqual(stats["vector_count"], 300)
        self.assertGreater(stats["uptime"], 0)
        self.assertTrue(0 < stats["disk_usage"] < 100)
        self.assertEqual([s["shard_id"] for s in stats["shard_info"]], [0, 1, 2])
        self.assertEqual(sum(s["vector_count"] for s in stats["shard_info"]), 300)
        for shard in stats["shard_info"]:
            self.assertEqual((shard["collection"], shard["is_leader"], shard["replica_count"], shard["status"]),
                             ("docs", True, 1, "ready"))
        collections = self.get("/v1/admin/collections")
        self.assertEqual((set(collections), collections["count"]), ({"collections", "count"}, 1))
        docs = collections["collections"][0]
        self.assertEqual((docs["name"], docs["dimension"], docs["distance"], docs["vector_count"], docs["shard_count"],
                          docs["status"]), ("docs", 4, "cosine", 300, 3, "ready"))
        self.assertLess(abs(docs["created_at"] - time.time() * 1000), 60_000)
        self.assertEqual(docs["size_bytes"], sum(s["size_bytes"] for s in docs["shards"]))
        for shard in docs["shards"]:
            self.assertEqual((shard["leader_id"], shard["worker_ids"], shard["ready"], shard["status"]),
                             ("worker-1", ["worker-1"], True, "ready"))

    def test_a_wrong_verb_is_405_and_an_unknown_route_404(self):
        self.start()
        for path in ["/v1/system/health", "/v1/admin/stats", "/v1/admin/workers", "/v1/admin/collections", "/v1/alerts"]:
            answer = self.api.call("POST", path, {})
            self.assertEqual((answer.status, answer.headers["Allow"]), (405, "GET, HEAD"), path)
            self.assertEqual(set(answer.json), {"code", "message", "details"})
        self.assertEqual(self.api.call("GET", "/v1/alerts/1/resolve").status, 405)
        self.assertEqual(self.api.call("GET", "/v1/admin/nothing").code, NOT_FOUND)
        self.assertEqual(self.api.call("GET", "/v1/alerts?status=maybe").code, INVALID_ARGUMENT)
        self.assertEqual(self.api.call("POST", "/v1/alerts/77/resolve").code, NOT_FOUND)

    def test_the_only_worker_cannot_be_taken_away(self):
        self.start()
        self.assertEqual(self.api.call("POST", "/v1/admin/workers/1/drain", {}).code, FAILED_PRECONDITION)
        self.assertEqual(self.api.call("POST", "/v1/admin/workers/9/drain", {}).code, NOT_FOUND)
        self.assertEqual(self.api.call("DELETE", "/v1/admin/workers/1").code, FAILED_PRECONDITION)
        answer = self.api.call("POST", "/v1/admin/rebalance", {"dryRun": True})
        self.assertEqual(answer.json, {"started": False, "moves": []})

    def seconds(self):
        """The chart of the last two minutes, a point for each second."""
        series = self.get("/v1/admin/series?windowSeconds=120&maxPoints=2000")
        self.assertEqual(series["stepSeconds"], 1)
        return series["points"]

    def test_an_alert_is_raised_resolved_and_kept_over_a_restart(self):
        self.start("--alert-disk-percent", "0")
        active = self.until(lambda: self.get("/v1/alerts?status=active")["alerts"])
        self.assertEqual(len(active), 1)
        alert = active[0]
        for key in ["id", "level", "title", "message", "timestamp", "resolved", "source"]:
            self.assertIn(key, alert)
        self.assertEqual((alert["rule"], alert["source"], alert["resolved"]), ("disk", "worker-1", False))
        health = self.get("/v1/system/health")
        self.assertIn(health["overall_status"], ["degraded", "critical"])
        self.assertEqual([a["id"] for a in health["alerts"]], [alert["id"]])
        self.stop()
        self.start("--alert-disk-percent", "0")
        self.assertEqual([a["id"] for a in self.get("/v1/alerts?status=active")["alerts"]], [alert["id"]])
        answer = self.api.call("POST", f"/v1/alerts/{alert['id']}/resolve")
        self.assertEqual((answer.status, answer.json["success"], answer.json["alert_id"]), (200, True, alert["id"]))
        self.assertEqual(self.get("/v1/alerts?status=active")["count"], 0)
        resolved = self.get("/v1/alerts?status=resolved")["alerts"]
        self.assertEqual([(a["id"], a["resolved"], a["resolvedBy"]) for a in resolved], [(alert["id"], True, "operator")])
        # It lasts, and still stays away; after a restart without the rule it may come back.
        points = len(self.seconds())
        self.until(lambda: len(self.seconds()) > points + 2)
        self.assertEqual(self.get("/v1/alerts?status=active")["count"], 0)

    def test_slow_calls_raise_an_alert_that_goes_by_itself(self):
        self.start("--alert-latency-ms", "0.0001")
        self.fill(10)
        for _ in range(40):
            self.api.search("docs", [1, 2, 3, 4])
        alerts = self.until(lambda: self.get("/v1/alerts?status=active")["alerts"])
        self.assertEqual(alerts[0]["rule"], "latency")
        self.stop()
        self.start("--alert-latency-ms", "100000")
        self.until(lambda: self.get("/v1/alerts?status=active")["count"] == 0)
        self.assertEqual(self.get("/v1/alerts?level=warning")["alerts"][0]["resolvedBy"], "system")

    def test_charts_are_kept_over_a_restart(self):
        self.start()
        self.fill(150)
        for _ in range(30):
            self.api.search("docs", [1, 2, 3, 4])
        self.until(lambda: [p for p in self.seconds() if p.get("vectors") == 150])
        self.until(lambda: [p for p in self.seconds() if p["searchesPerSecond"] > 0 and p["p99Ms"] > 0])
        points = self.seconds()
        self.assertEqual(points[-1]["healthyWorkers"], 1)
        self.assertEqual([p["timestamp"] for p in points], sorted(p["timestamp"] for p in points))
        self.stop()
        self.start()
        # The last second may have got more samples since.
        self.assertEqual([p for p in self.seconds() if p["timestamp"] < points[-1]["timestamp"]], points[:-1])
        self.assertEqual(self.api.call("GET", "/v1/admin/series?windowSeconds=700000").code, INVALID_ARGUMENT)

    def test_slow_queries_are_logged_with_the_plan_of_each_shard(self):
        self.start("--slow-query-ms", "0")
        self.fill(300, shardCount=2)
        answer = self.api.search("docs", [1, 2, 3, 4], topK=5,
                                 filter={"must": [{"field": "n", "range": {"gte": SECRET_BOUND}}]}).json
        self.assertIsNone(answer["explain"])
        log = self.get("/v1/admin/slow-queries")
        self.assertEqual((log["thresholdMs"], log["total"]), (0, 1))
        query = log["queries"][0]
        self.assertEqual(query["queryId"], answer["queryId"])
        self.assertEqual((query["collection"], query["topK"], query["filter"], query["protocol"]),
                         ("docs", 5, "must: n range", "http"))
        self.assertGreater(query["durationMs"], 0)
        self.assertEqual(sorted(s["shardId"] for s in query["shards"]), [0, 1])
        for shard in query["shards"]:
            self.assertTrue(shard["plan"] and shard["reason"], shard)
        self.stop()
        with open(os.path.join(self.folder, "data", "management", "slow-queries.jsonl")) as file:
            text = file.read()
        self.assertEqual(json.loads(text)["queryId"], answer["queryId"])
        self.assertNotIn(str(SECRET_BOUND), text)
        self.start()
        self.assertEqual(self.get("/v1/admin/slow-queries?collection=docs")["queries"][0]["queryId"], answer["queryId"])
        self.assertEqual(self.get("/v1/admin/slow-queries?collection=other")["queries"], [])

    def test_an_explained_search_tells_what_each_shard_did(self):
        self.start()
        self.fill(300, shardCount=2)
        answer = self.api.search("docs", [1, 2, 3, 4], explain=True,
                                 filter={"must": [{"field": "n", "range": {"lt": 30}}]}).json
        shards = answer["explain"]["shards"]
        self.assertEqual(sum(int(s["points"]) for s in shards), 300)
        self.assertEqual(sum(int(s["matches"]) for s in shards), 30)
        for shard in shards:
            self.assertTrue(shard["plan"] and shard["reason"], shard)
            for key in ["matchesEstimated", "hops", "distances", "tailScanned", "tombstones", "reranked",
                        "rerankChanges", "timeUs"]:
                self.assertIn(key, shard)

    def test_the_interface_is_described(self):
        self.start()
        paths = self.get("/openapi.json")["paths"]
        for path in ["/v1/system/health", "/v1/admin/stats", "/v1/admin/workers", "/v1/admin/collections", "/v1/alerts",
                     "/v1/alerts/{id}/resolve", "/v1/admin/series", "/v1/admin/slow-queries"]:
            self.assertIn(path, paths)


class Interface(unittest.TestCase):
    """The description in the repository is the one that a server gives. VECTRON_UPDATE=1 writes it anew."""

    PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "openapi.json")

    def test_the_checked_in_description_is_the_served_one(self):
        folder = tempfile.mkdtemp(prefix="vectron-api-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        server = Server(os.path.join(folder, "data"), args=["--auth", "on"])
        self.addCleanup(server.stop)
        api = server.client()
        served = api.call("GET", "/openapi.json").json
        api.close()
        self.assertTrue(served["openapi"].startswith("3.1."))
        operations = [operation for path in served["paths"].values() for operation in path.values()]
        undescribed = [each["operationId"] for each in operations if not each["description"] or each["summary"].endswith(".")]
        self.assertEqual(undescribed, [])
        fields = {f"{name}.{field}": schema for name, message in served["components"]["schemas"].items() if name != "Error"
                  for field, schema in message["properties"].items()}
        self.assertGreater(len(fields), 300)
        self.assertEqual([name for name, schema in fields.items() if not schema.get("description")], [])
        if os.environ.get("VECTRON_UPDATE"):
            with open(self.PATH, "w", encoding="utf-8") as file:
                file.write(json.dumps(served, indent=1, ensure_ascii=False) + "\n")
        with open(self.PATH, encoding="utf-8") as file:
            kept = json.load(file)
        kept["info"]["version"] = served["info"]["version"]
        self.assertEqual(kept, served, "run this test with VECTRON_UPDATE=1")


class Rights(unittest.TestCase):
    """With credentials on: who sees what."""

    def setUp(self):
        folder = tempfile.mkdtemp(prefix="vectron-api-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        data = os.path.join(folder, "data")
        self.server = Server(data, args=["--auth", "on"])
        self.addCleanup(self.server.stop)
        self.api = self.server.client()
        with open(os.path.join(data, "bootstrap.secret")) as file:
            secret = file.read().strip()
        self.admin = self.sign_in("root@example.org", {"x-vectron-bootstrap": secret})
        self.user = self.sign_in("user@example.org", {})

    def sign_in(self, email, headers):
        person = {"email": email, "password": "Correct-Horse-7"}
        answer = self.api.call("POST", "/v1/users/register", person, headers)
        self.assertEqual(answer.status, 200, answer)
        return {"Authorization": "Bearer " + self.api.call("POST", "/v1/users/login", person).json["jwtToken"]}

    def test_operators_see_all_users_the_overall_status_and_strangers_nothing(self):
        health = self.api.call("GET", "/v1/system/health", headers=self.admin).json
        self.assertIn("auth", [service["name"] for service in health["services"]])
        self.assertEqual(self.api.call("GET", "/v1/admin/stats", headers=self.admin).json["stats"]["rateLimit"]["enabled"], True)
        health = self.api.call("GET", "/v1/system/health", headers=self.user).json
        self.assertIn(health["overall_status"], ["healthy", "degraded", "critical"])
        self.assertEqual((health["services"], health["alerts"], health["metrics"]), ([], [], None))
        for path in ["/v1/admin/stats", "/v1/admin/workers", "/v1/admin/collections", "/v1/alerts", "/v1/admin/series",
                     "/v1/admin/slow-queries"]:
            self.assertEqual(self.api.call("GET", path, headers=self.user).status, 403, path)
            self.assertEqual(self.api.call("GET", path).status, 401, path)
        self.assertEqual(self.api.call("GET", "/v1/system/health").status, 401)

    def test_operators_see_the_collections_of_all_owners(self):
        answer = self.api.call("POST", "/v1/alerts/1/resolve", {}, self.user)
        self.assertEqual(answer.status, 403)
        self.assertEqual(self.api.call("POST", "/v1/alerts/1000/resolve", {}, self.admin).status, 404)
        collection = {"name": "mine", "dimension": 2}
        self.assertEqual(self.api.call("POST", "/v1/collections", collection, self.user).status, 200)
        shown = self.api.call("GET", "/v1/admin/collections", headers=self.admin).json["collections"]
        self.assertEqual([c["name"] for c in shown], ["mine"])
        self.assertTrue(shown[0]["owner"].startswith("user-"), shown[0]["owner"])
