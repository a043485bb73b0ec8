"""A reranker in a cluster: found through placement, taught by feedback, missed without harm, found again."""
import os
import random
import unittest

from clients import Api
from cluster_process import ClusterProcess, Deadline

POINTS = 60
RANKING = "/v1/admin/collections/shop/ranking"
EVENTS = 200


class Reranker(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        os.environ["VECTRON_SAMPLE_INTERVAL_MS"] = "200"
        cls.cluster = ClusterProcess(workers=1, placement=1, gateways=1, flags=("--rerankers", "1", "--heartbeat-ms", "300"))
        cls.api = Api(cls.cluster.http)
        cls.rng = random.Random(11)

    @classmethod
    def tearDownClass(cls):
        cls.api.close()
        cls.cluster.stop()
        cls.cluster.destroy()

    def ok(self, answer):
        self.assertEqual(answer[0], 200, f"{answer}\n{self.cluster.logs()}")
        return answer[1]

    def until(self, what, check):
        deadline = Deadline(60, f"{what}\n{self.cluster.logs()}")
        while not (found := check()):
            deadline.pause()
        return found

    def vector(self):
        return [self.rng.gauss(0, 1) for _ in range(4)]

    def search(self, vector, **more):
        return self.ok(self.api.search("shop", vector, query="pump", topK=10, **more))

    def model(self):
        return self.ok(self.api.call("GET", RANKING))

    def service(self):
        services = self.ok(self.api.call("GET", "/v1/system/health"))["services"]
        return next((service for service in services if service["name"] == "reranker"), None)

    def good_on_top(self, queries):
        """Share of good results on first pages, without exploration."""
        hits = [hit for query in queries for hit in self.search(query, rerank={"explore": False})["results"]]
        return sum(hit["payload"]["kind"] == "good" for hit in hits) / len(hits)

    def fill(self):
        self.ok(self.api.create("shop", 2, 1, distance="cosine", rerank={"strategy": "learned", "budgetMs": 2000}))
        points = [{"id": f"p{i}", "vector": self.vector(), "payload": {"title": f"pump number {i}", "kind": "good" if i % 4 == 0 else "plain"}}
                  for i in range(POINTS)]
        self.ok(self.api.call("POST", "/v1/collections/shop/points", {"points": points}))

    def teach(self):
        """Users that click on what is good, wherever it is."""
        for user in range(EVENTS):
            answer = self.search(self.vector())
            items = [{"resultId": hit["id"], "clicked": True} for hit in answer["results"] if hit["payload"]["kind"] == "good"]
            if items:
                self.ok(self.api.call("POST", "/v1/feedback", {"collection": "shop", "queryId": answer["queryId"], "feedbackItems": items,
                                                               "context": {"user_id": f"u{user}"}}))

    def test_is_found_taught_missed_and_found_again(self):
        self.fill()
        self.until("the reranker to be found", lambda: self.search(self.vector())["reranked"])
        self.assertEqual(self.until("its health", self.service)["status"], "up")
        queries = [self.vector() for _ in range(15)]
        before = self.good_on_top(queries)

        self.teach()
        events = self.until("feedback to be learned from", lambda: int(self.model()["events"]) >= EVENTS // 2 and int(self.model()["events"]))
        self.assertEqual(self.ok(self.api.call("POST", "/v1/admin/collections/shop/ranking", {"action": "MODEL_PROMOTE"}))["state"], "learned")
        self.assertEqual(self.search(queries[0], rerank={"explore": False})["rerank"]["strategy"], "learned")
        self.assertGreater(self.good_on_top(queries), before + 0.2)

        self.cluster.kill("reranker-1")
        answer = self.search(queries[0])
        self.assertFalse(answer["reranked"])
        self.assertEqual(answer["rerank"]["strategy"], "none")
        self.assertTrue(answer["rerank"]["reason"])
        plain = self.ok(self.api.search("shop", queries[0], topK=10))["results"]
        self.assertEqual([hit["id"] for hit in answer["results"]], [hit["id"] for hit in plain])
        self.until("operators to be told", lambda: self.service()["status"] == "down")
        self.assertGreater(self.service()["last_success"], 0)

        self.cluster.start("reranker-1")
        self.until("the reranker to be found again", lambda: self.search(self.vector())["reranked"])
        # Its administration has a connection of its own, which comes back by itself, too.
        self.until("its administration to be there again", lambda: self.api.call("GET", RANKING)[0] == 200)
        self.assertGreaterEqual(int(self.model()["events"]), events)
        self.until("its health again", lambda: self.service()["status"] == "up")


if __name__ == "__main__":
    unittest.main()
