"""Reranking and the feedback that teaches it, against the real server."""
import os
import random
import tempfile
import time
import unittest

from vectron_server import INVALID_ARGUMENT, NOT_FOUND, Server, ServerTest

DIMENSION = 8
LEARN_SECONDS = 120
BUDGET_MS = 5_000  # ample: others may use the processor


def vector(rng):
    return [rng.gauss(0, 1) for _ in range(DIMENSION)]


class RankingTest(ServerTest):
    def fill(self, count=60, **options):
        """Points with a text and a kind; distance and text say nothing of the kind."""
        options["rerank"] = {"budgetMs": BUDGET_MS, **options.get("rerank", {})}
        name = self.make(DIMENSION, distance="cosine", **options)
        rng = random.Random(7)
        points = [{"id": f"p{i}", "vector": vector(rng),
                   "payload": {"title": f"pump number {i}", "kind": rng.choice(["good", "plain", "plain", "plain"]), "tags": ["a", "b"]}}
                  for i in range(count)]
        self.ok(self.api.upsert(name, points))
        return name, rng

    def test_a_query_text_reranks_and_the_best_match_rises(self):
        name, rng = self.fill()
        self.ok(self.api.upsert(name, [{"id": "match", "vector": vector(rng), "payload": {"title": "blue whale"}}]))
        query = vector(rng)
        plain = self.ok(self.api.search(name, query, topK=60))
        self.assertIsNone(plain["rerank"])
        ranked = self.ok(self.api.search(name, query, topK=60, query="blue whale"))
        self.assertTrue(ranked["reranked"])
        self.assertEqual(ranked["rerank"]["strategy"], "rule")
        place = lambda answer: [hit["id"] for hit in answer["results"]].index("match") if "match" in [h["id"] for h in answer["results"]] else 60
        self.assertLess(place(ranked), place(plain))
        scores = [hit["score"] for hit in ranked["results"]]
        self.assertEqual(scores, sorted(scores, reverse=True))
        self.assertTrue(all(0 <= score <= 1 for score in scores))

    def test_the_choice_is_the_searchs_then_the_collections(self):
        name, rng = self.fill(rerank={"strategy": "none"})
        query = vector(rng)
        self.assertFalse(self.ok(self.api.search(name, query, query="pump"))["reranked"])
        self.assertTrue(self.ok(self.api.search(name, query, query="pump", rerank={"strategy": "rule"}))["reranked"])
        self.assertEqual(self.ok(self.api.status(name))["options"]["rerank"]["strategy"], "none")
        self.refused(self.api.search(name, query, rerank={"strategy": "magic"}), 400, INVALID_ARGUMENT, "magic")
        self.refused(self.api.create("bad", 2, rerank={"strategy": "magic"}), 400, INVALID_ARGUMENT, "magic")

    def test_without_a_language_model_the_rule_answers_and_says_so(self):
        name, rng = self.fill()
        answer = self.ok(self.api.search(name, vector(rng), query="pump", rerank={"strategy": "llm"}))
        self.assertEqual(answer["rerank"]["strategy"], "rule")
        self.assertIn("language model", answer["rerank"]["reason"])

    def test_pages_continue_and_payloads_come_as_asked(self):
        name, rng = self.fill()
        query = vector(rng)
        whole = self.ok(self.api.search(name, query, topK=20, query="pump"))["results"]
        second = self.ok(self.api.search(name, query, topK=10, offset=10, query="pump"))["results"]
        self.assertEqual([hit["id"] for hit in second], [hit["id"] for hit in whole[10:]])
        bare = self.ok(self.api.search(name, query, query="pump", includeMetadata=False))["results"]
        self.assertTrue(all(hit["payload"] == {} for hit in bare))
        some = self.ok(self.api.search(name, query, query="pump", payloadFields=["kind"]))["results"]
        self.assertTrue(all(set(hit["payload"]) == {"kind"} for hit in some))

    def test_explain_tells_the_parts_of_each_score(self):
        name, rng = self.fill()
        told = self.ok(self.api.search(name, vector(rng), query="pump", explain=True, topK=5))
        self.assertEqual([row["id"] for row in told["explain"]["rerank"]], [hit["id"] for hit in told["results"]])
        for row in told["explain"]["rerank"]:
            self.assertIn("similarity", row["explanation"])
            self.assertGreaterEqual(row["vectorRank"], 1)

    def test_feedback_is_stored_listed_and_refused_when_wrong(self):
        name, rng = self.fill()
        answer = self.ok(self.api.search(name, vector(rng), query="pump", rerank={"strategy": "learned"}))
        item = {"resultId": answer["results"][0]["id"], "clicked": True, "position": 1}
        stored = self.ok(self.api.call("POST", "/v1/feedback", {"collection": name, "queryId": answer["queryId"], "feedbackItems": [item]}))
        self.assertEqual((stored["success"], stored["learnedItems"], len(stored["feedbackId"])), (True, 1, 36))
        unknown = self.ok(self.api.call("POST", "/v1/feedback", {"collection": name, "query_id": "unknown", "feedback_items": [item]}))
        self.assertEqual(unknown["learnedItems"], 0)
        page = self.ok(self.api.call("GET", f"/v1/feedback?collection={name}&limit=1"))
        self.assertEqual(page["records"][0]["feedbackId"], stored["feedbackId"])
        rest = self.ok(self.api.call("GET", f"/v1/feedback?collection={name}&afterNumber={page['nextAfterNumber']}"))
        self.assertEqual(rest["records"][0]["feedbackId"], unknown["feedbackId"])
        self.refused(self.api.call("POST", "/v1/feedback", {"collection": "nothing", "feedbackItems": [item]}), 404, NOT_FOUND, "nothing")
        self.refused(self.api.call("POST", "/v1/feedback", {"collection": name}), 400, INVALID_ARGUMENT, "feedback_items")
        self.refused(self.api.call("POST", "/v1/feedback", {"collection": name, "feedbackItems": [{"resultId": "p", "relevanceScore": 6}]}),
                     400, INVALID_ARGUMENT, "relevance_score")

    def good_on_top(self, name, queries):
        """Share of good results among the first five, without exploration."""
        good = 0
        for query in queries:
            answer = self.ok(self.api.search(name, query, query="pump", topK=5, rerank={"explore": False}))
            good += sum(hit["payload"]["kind"] == "good" for hit in answer["results"])
        return good / (5 * len(queries))

    def search_and_click(self, name, rng, user):
        """A user who likes good results and looks at the upper places more often."""
        answer = self.ok(self.api.search(name, vector(rng), query="pump"))
        items = [{"resultId": hit["id"], "clicked": True} for place, hit in enumerate(answer["results"])
                 if rng.random() < (0.9 if hit["payload"]["kind"] == "good" else 0.05) / (1 + 0.3 * place)]
        if items:
            self.ok(self.api.call("POST", "/v1/feedback", {"collection": name, "queryId": answer["queryId"],
                                                           "feedbackItems": items, "context": {"user_id": f"u{user}"}}))

    def test_feedback_changes_later_rankings(self):
        name, rng = self.fill(rerank={"strategy": "learned"})
        queries = [vector(rng) for _ in range(40)]
        before = self.good_on_top(name, queries)
        state = f"/v1/admin/collections/{name}/ranking"
        self.assertEqual(self.ok(self.api.call("GET", state))["state"], "rule")
        end, user = time.monotonic() + LEARN_SECONDS, 0
        while self.ok(self.api.call("GET", state))["state"] != "learned":
            self.assertLess(time.monotonic(), end, self.api.call("GET", state))
            for _ in range(50):
                user += 1
                self.search_and_click(name, rng, user)
        status = self.ok(self.api.call("GET", state))
        self.assertGreater(int(status["events"]), 200)
        after = self.good_on_top(name, queries)
        self.assertGreater(after, before + 0.2, status)
        answer = self.ok(self.api.search(name, queries[0], query="pump", rerank={"explore": False}))
        self.assertEqual(answer["rerank"]["strategy"], "learned")
        # A person takes it back.
        taken = self.ok(self.api.call("POST", state, {"action": "MODEL_ROLLBACK"}))
        self.assertEqual((taken["state"], taken["held"]), ("rule", True))
        self.assertAlmostEqual(self.good_on_top(name, queries), before)


class RankingRestartTest(unittest.TestCase):
    def test_what_was_learned_survives_a_kill(self):
        with tempfile.TemporaryDirectory(prefix="vectron-rank-") as folder:
            server = Server(os.path.join(folder, "data"))
            api = server.client()
            assert api.create("c", 2, rerank={"strategy": "learned"}).status == 200
            assert api.upsert("c", [{"id": f"p{i}", "vector": [i, 1]} for i in range(20)]).status == 200
            for user in range(30):
                answer = api.search("c", [user, 1], query="x").json
                api.call("POST", "/v1/feedback", {"collection": "c", "queryId": answer["queryId"], "context": {"user_id": f"u{user}"},
                                                  "feedbackItems": [{"resultId": answer["results"][0]["id"], "clicked": True}]})
            api.close()
            server.kill()
            server = Server(os.path.join(folder, "data"))
            api = server.client()
            end = time.monotonic() + 60
            while int(api.call("GET", "/v1/admin/collections/c/ranking").json["events"]) < 30:
                assert time.monotonic() < end, api.call("GET", "/v1/admin/collections/c/ranking")
            assert len(api.call("GET", "/v1/feedback?collection=c").json["records"]) == 30
            api.close()
            server.stop()

    def test_a_bad_ranking_configuration_refuses_the_start(self):
        with tempfile.TemporaryDirectory(prefix="vectron-rank-") as folder:
            path = os.path.join(folder, "ranking.toml")
            with open(path, "w") as file:
                file.write("[rerank]\nspeed = 1\n")
            with self.assertRaises(Exception) as caught:
                Server(os.path.join(folder, "data"), args=["--ranking-config", path])
            self.assertIn("rerank.speed", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
