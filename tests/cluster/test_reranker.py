"""A reranker in a cluster: found through placement, taught by feedback, missed without harm, found again; and one that asks a slow
language model."""
import http.server
import json
import os
import random
import tempfile
import threading
import time
import unittest

from clients import Api, patiently
from cluster_process import ClusterProcess

POINTS = 60
RANKING = "/v1/admin/collections/shop/ranking"
EVENTS = 200
MODEL_SECONDS = 8  # longer than a gateway waits for a silent peer before it pings it several times


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

    def vector(self):
        return [self.rng.gauss(0, 1) for _ in range(4)]

    def search(self, vector, **more):
        return patiently(lambda: self.api.search("shop", vector, query="pump", topK=10, **more))

    def reranked(self, vector, **more):
        """The answer, once it has been reranked: a reranker that is too slow is not waited for."""
        def answer():
            found = self.search(vector, **more)
            return found if found["reranked"] else None
        return self.cluster.until("a reranked answer", answer)

    def model(self):
        return patiently(lambda: self.api.call("GET", RANKING))

    def events(self):
        return int(self.model()["events"])

    def service_is(self, status):
        """The reranker's health, if that is what it is."""
        services = patiently(lambda: self.api.call("GET", "/v1/system/health"))["services"]
        return next((service for service in services if (service["name"], service["status"]) == ("reranker", status)), None)

    def good_on_top(self, queries):
        """Share of good results on first pages, without exploration."""
        hits = [hit for query in queries for hit in self.reranked(query, rerank={"explore": False})["results"]]
        return sum(hit["payload"]["kind"] == "good" for hit in hits) / len(hits)

    def fill(self):
        self.api.make("shop", 2, 1, distance="cosine", rerank={"strategy": "learned", "budgetMs": 2000})
        points = [{"id": f"p{i}", "vector": self.vector(), "payload": {"title": f"pump number {i}", "kind": "good" if i % 4 == 0 else "plain"}}
                  for i in range(POINTS)]
        patiently(lambda: self.api.call("POST", "/v1/collections/shop/points", {"points": points}))

    def teach(self):
        """Users that click on what is good, wherever it is."""
        for user in range(EVENTS):
            answer = self.search(self.vector())
            items = [{"resultId": hit["id"], "clicked": True} for hit in answer["results"] if hit["payload"]["kind"] == "good"]
            if items:
                feedback = {"collection": "shop", "queryId": answer["queryId"], "feedbackItems": items, "context": {"user_id": f"u{user}"}}
                patiently(lambda: self.api.call("POST", "/v1/feedback", feedback))

    def test_is_found_taught_missed_and_found_again(self):
        until = self.cluster.until
        self.fill()
        self.reranked(self.vector())
        until("its health", lambda: self.service_is("up"))
        queries = [self.vector() for _ in range(15)]
        before = self.good_on_top(queries)

        self.teach()
        until("feedback to be learned from", lambda: self.events() >= EVENTS // 2)
        promoted = patiently(lambda: self.api.call("POST", RANKING, {"action": "MODEL_PROMOTE"}))
        self.assertEqual(promoted["state"], "learned")
        self.assertEqual(self.reranked(queries[0], rerank={"explore": False})["rerank"]["strategy"], "learned")
        self.assertGreater(self.good_on_top(queries), before + 0.2)
        events = self.events()

        self.cluster.kill("reranker-1")
        answer = self.search(queries[0])
        self.assertFalse(answer["reranked"])
        self.assertEqual(answer["rerank"]["strategy"], "none")
        self.assertTrue(answer["rerank"]["reason"])
        plain = patiently(lambda: self.api.search("shop", queries[0], topK=10))["results"]
        self.assertEqual([hit["id"] for hit in answer["results"]], [hit["id"] for hit in plain])
        down = until("operators to be told", lambda: self.service_is("down"))
        self.assertGreater(down["last_success"], 0)

        self.cluster.start("reranker-1")
        self.reranked(self.vector())
        # Its administration has a connection of its own, which comes back by itself, too; of what it had learned nothing is lost.
        until("what it had learned", lambda: self.events() >= events)
        until("its health again", lambda: self.service_is("up"))


class SlowModel(http.server.BaseHTTPRequestHandler):
    """A chat endpoint that takes its time and finds the candidates well ordered."""
    asked = threading.Event()

    def do_POST(self):
        self.asked.set()
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(MODEL_SECONDS)
        order = json.dumps({"order": [f"c{number:02}" for number in range(50)]})
        body = json.dumps({"choices": [{"message": {"role": "assistant", "content": order}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class LanguageModel(unittest.TestCase):
    def setUp(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), SlowModel)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        with tempfile.NamedTemporaryFile("w", suffix=".toml", delete=False) as config:
            config.write(f'[rerank]\nllm.url = "http://127.0.0.1:{server.server_port}/v1/chat/completions"\nllm.model = "slow"\n')
        self.addCleanup(os.remove, config.name)
        os.environ["VECTRON_RANKING_CONFIG"] = config.name
        self.addCleanup(os.environ.pop, "VECTRON_RANKING_CONFIG")
        # Questions about its health come over the same connection, which is then not silent.
        os.environ["VECTRON_SAMPLE_INTERVAL_MS"] = "60000"
        self.cluster = ClusterProcess(workers=1, placement=1, gateways=1, flags=("--rerankers", "1", "--heartbeat-ms", "300"))
        self.addCleanup(self.cluster.destroy)
        self.addCleanup(self.cluster.stop)
        self.api = Api(self.cluster.http)
        self.addCleanup(self.api.close)

    def test_is_waited_for_as_long_as_the_budget_allows(self):
        self.api.make("shop", 1, 1, distance="cosine", rerank={"strategy": "llm", "budgetMs": 60000})
        points = [{"id": f"p{i}", "vector": [1, i, 2, 3], "payload": {"title": f"pump {i}"}} for i in range(5)]
        patiently(lambda: self.api.call("POST", "/v1/collections/shop/points", {"points": points}))

        def answer_of_the_model():
            found = patiently(lambda: self.api.search("shop", [1, 1, 1, 1], query="pump", topK=5))
            return found if SlowModel.asked.is_set() else None

        answer = self.cluster.until("the model to be asked", answer_of_the_model)
        self.assertTrue(answer["reranked"], answer["rerank"])
        self.assertEqual(answer["rerank"]["strategy"], "llm", answer["rerank"])


if __name__ == "__main__":
    unittest.main()
