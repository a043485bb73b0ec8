import math
import random

from vectron_server import DEADLINE_EXCEEDED, INVALID_ARGUMENT, UNIMPLEMENTED, ServerTest

SEED = 20240607


def distance(metric, a, b):
    dot = sum(x * y for x, y in zip(a, b))
    if metric == "dot":
        return -dot
    if metric == "cosine":
        return 1 - dot / math.sqrt(sum(x * x for x in a) * sum(x * x for x in b))
    return sum((x - y) ** 2 for x, y in zip(a, b))


class Search(ServerTest):
    def fill(self, metric="euclidean", count=300, dimension=8, **options):
        rng = random.Random(SEED)
        name = self.make(dimension, distance=metric, **options)
        points = [{"id": f"p{i}", "vector": [rng.gauss(0, 1) for _ in range(dimension)],
                   "payload": {"n": i, "colour": rng.choice(["red", "green", "blue"]), "tags": ["t%d" % (i % 7)]}}
                  for i in range(count)]
        self.ok(self.api.upsert(name, points))
        return name, points, [rng.gauss(0, 1) for _ in range(dimension)]

    def test_every_metric_agrees_with_a_plain_scan(self):
        for metric in ["euclidean", "cosine", "dot"]:
            for shards in [1, 4]:
                with self.subTest(metric=metric, shards=shards):
                    name, points, query = self.fill(metric, shardCount=shards)
                    want = sorted((distance(metric, query, p["vector"]), p["id"]) for p in points)[:20]
                    got = self.ok(self.api.search(name, query, topK=20))["results"]
                    self.assertEqual([hit["id"] for hit in got], [i for _, i in want])
                    for hit, (score, _) in zip(got, want):
                        self.assertAlmostEqual(hit["score"], score, places=4)

    def test_shards_make_no_difference(self):
        one, points, query = self.fill()
        many, _, _ = self.fill(shardCount=4)
        for options in [{}, {"topK": 100}, {"topK": 7, "offset": 13}, {"params": {"exact": True}},
                        {"filter": {"must": [{"field": "colour", "match": "red"}]}}, {"scoreThreshold": 6.5}]:
            with self.subTest(options=options):
                a = self.ok(self.api.search(one, query, **options))["results"]
                b = self.ok(self.api.search(many, query, **options))["results"]
                self.assertEqual([(h["id"], h["score"], h["payload"]) for h in a],
                                 [(h["id"], h["score"], h["payload"]) for h in b])

    def test_top_k_is_ten_unless_said(self):
        name, _, query = self.fill()
        self.assertEqual(len(self.ok(self.api.search(name, query))["results"]), 10)
        self.assertEqual(len(self.ok(self.api.search(name, query, topK=0))["results"]), 10)
        self.assertEqual(len(self.ok(self.api.search(name, query, top_k=1000))["results"]), 300)

    def test_offset_skips(self):
        name, _, query = self.fill()
        everything = [h["id"] for h in self.ok(self.api.search(name, query, topK=50))["results"]]
        page = [h["id"] for h in self.ok(self.api.search(name, query, topK=20, offset=30))["results"]]
        self.assertEqual(page, everything[30:50])
        self.assertEqual(self.ok(self.api.search(name, query, topK=5, offset=300))["results"], [])

    def test_threshold_cuts(self):
        name, points, query = self.fill()
        scores = sorted(distance("euclidean", query, p["vector"]) for p in points)
        got = self.ok(self.api.search(name, query, topK=300, scoreThreshold=scores[40] + 1e-5))["results"]
        self.assertEqual(len(got), 41)
        self.assertEqual(self.ok(self.api.search(name, query, scoreThreshold=0))["results"], [])

    def test_filters_agree_with_a_plain_scan(self):
        name, points, query = self.fill(payloadIndexes=[{"field": "colour", "type": "KEYWORD"}, {"field": "n", "type": "INTEGER"}])
        plain, _, _ = self.fill()
        cases = [
            ({"must": [{"field": "colour", "match": ["red", "blue"]}]}, lambda p: p["colour"] in ("red", "blue")),
            ({"must_not": [{"field": "n", "range": {"lt": 250}}]}, lambda p: p["n"] >= 250),
            ({"should": [{"field": "n", "match": 5}, {"field": "tags[]", "match": "t3"}]}, lambda p: p["n"] == 5 or "t3" in p["tags"]),
            ({"must": [{"field": "none", "exists": False}, {"field": "n", "match": 5.0}]}, lambda p: p["n"] == 5),
            ({"must": [{"field": "n", "match": "5"}]}, lambda p: False),
            ({}, lambda p: True),
        ]
        for collection in (name, plain):
            for condition, passes in cases:
                with self.subTest(filter=condition):
                    want = sorted((distance("euclidean", query, p["vector"]), p["id"]) for p in points if passes(p["payload"]))
                    got = self.ok(self.api.search(collection, query, topK=300, filter=condition))["results"]
                    self.assertEqual([h["id"] for h in got], [i for _, i in want])

    def test_what_comes_with_a_hit_is_the_callers_choice(self):
        name, points, query = self.fill()
        hit = self.ok(self.api.search(name, query, topK=1))["results"][0]
        point = points[int(hit["id"][1:])]
        self.assertEqual((hit["payload"], hit["vector"]), (point["payload"], []))
        hit = self.ok(self.api.search(name, query, topK=1, includeMetadata=False, includeVectors=True))["results"][0]
        self.assertEqual(hit["payload"], {})
        for got, want in zip(hit["vector"], point["vector"]):
            self.assertAlmostEqual(got, want, places=6)
        hit = self.ok(self.api.search(name, query, topK=1, payloadFields=["n", "missing"]))["results"][0]
        self.assertEqual(hit["payload"], {"n": point["payload"]["n"]})

    def test_an_answer_has_a_name_and_explains_itself_when_asked(self):
        name, _, query = self.fill(shardCount=2)
        plain = self.ok(self.api.search(name, query))
        self.assertIsNone(plain["explain"])
        self.assertEqual((plain["partial"], plain["missingShards"], plain["reranked"], plain["last"]), (False, [], False, False))
        told = self.ok(self.api.search(name, query, explain=True))
        self.assertNotEqual(plain["queryId"], told["queryId"])
        self.assertEqual(sorted(s["shardId"] for s in told["explain"]["shards"]), [0, 1])
        self.assertEqual(sum(int(s["points"]) for s in told["explain"]["shards"]), 300)

    def test_an_exact_search_counts_what_it_compared(self):
        name, _, query = self.fill()
        for options, compared in [({}, 300), ({"params": {"exact": True}}, 300),
                                  ({"params": {"exact": True}, "filter": {"must": [{"field": "n", "range": {"lt": 50}}]}}, 50)]:
            with self.subTest(options=options):
                shard = self.ok(self.api.search(name, query, explain=True, **options))["explain"]["shards"][0]
                self.assertEqual(int(shard["distances"]), compared, shard)

    def test_times_of_all_years_are_compared(self):
        times = ["0000-01-01T00:00:00Z", "1500-06-01T00:00:00Z", "1677-09-21T00:12:43Z", "1970-01-01T00:00:00Z", "2026-01-31T08:00:00.25Z",
                 "2262-04-11T23:47:17Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.5Z"]
        for indexes in [[], [{"field": "t", "type": "DATETIME"}]]:
            name = self.make(1, payloadIndexes=indexes)
            self.ok(self.api.upsert(name, [{"id": f"p{i}", "vector": [1], "payload": {"t": t}} for i, t in enumerate([*times, "no time"])]))
            for at, bound in enumerate(times):
                for test, kept in [("lt", range(at)), ("lte", range(at + 1)), ("gt", range(at + 1, 8)), ("gte", range(at, 8))]:
                    with self.subTest(indexes=indexes, test=test, bound=bound):
                        condition = {"must": [{"field": "t", "range": {test: bound}}]}
                        hits = self.ok(self.api.search(name, [1], filter=condition))["results"]
                        self.assertEqual([hit["id"] for hit in hits], [f"p{i}" for i in kept])

    def test_a_timeout_that_suffices_changes_nothing(self):
        name, _, query = self.fill(shardCount=3)
        answer = self.ok(self.api.search(name, query, timeoutMs=60000))
        self.assertEqual((answer["partial"], answer["missingShards"], len(answer["results"])), (False, [], 10))

    def test_a_search_ends_when_its_time_is_up(self):
        name, _, query = self.fill(count=20000)
        unindexed = {"must": [{"field": "n", "range": {"gte": 0}}]}  # each payload is looked at, which takes far longer
        self.refused(self.api.search(name, query, timeoutMs=1, filter=unindexed), 504, DEADLINE_EXCEEDED)
        self.assertEqual(len(self.ok(self.api.search(name, query, filter=unindexed))["results"]), 10)

    def test_an_empty_collection_answers_nothing(self):
        self.assertEqual(self.ok(self.api.search(self.make(shardCount=2), [0, 0, 0, 1]))["results"], [])

    def test_a_write_is_seen_by_the_next_search(self):
        name = self.make(2, shardCount=2)
        for i in range(50):
            self.ok(self.api.upsert(name, [{"id": "moving", "vector": [i, i]}]))
            hit = self.ok(self.api.search(name, [i, i], topK=1))["results"][0]
            self.assertEqual((hit["id"], hit["score"]), ("moving", 0))
        self.ok(self.api.delete(name, "moving"))
        self.assertEqual(self.ok(self.api.search(name, [0, 0]))["results"], [])

    def test_what_is_not_there_yet_is_unimplemented(self):
        name, _, query = self.fill()
        self.refused(self.api.search(name, query, params={"targetRecall": 0.9}), 501, UNIMPLEMENTED, "target_recall")

    def test_bad_filters_are_refused_with_the_place(self):
        name = self.make(2)
        for bad, place in [({"must": [{"field": "a"}]}, "must[0]"),
                           ({"must": [{"field": "a", "match": 1, "exists": True}]}, "must[0]"),
                           ({"should": [{"field": "a", "match": 1}, {"field": "", "match": 1}]}, "should[1]"),
                           ({"must_not": [{"field": "a", "range": {"gte": "yesterday"}}]}, "must_not[0]"),
                           ({"must": [{"field": "a", "mtach": 1}]}, "must[0]")]:
            with self.subTest(filter=bad):
                self.refused(self.api.search(name, [1, 2], filter=bad), 400, INVALID_ARGUMENT, place)
