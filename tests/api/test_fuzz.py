"""Random requests, most of them a little wrong, against a model: documented codes only, never a 5xx, never a hang, and the
state is what the model says. Every run has a seed of its own and prints it; VECTRON_FUZZ_SEED replays a run, VECTRON_FUZZ_REQUESTS
makes it longer."""

import json
import os
import random

from vectron_server import ServerTest, quote

SEED = int(os.environ.get("VECTRON_FUZZ_SEED") or random.SystemRandom().randrange(2**32))
REQUESTS = int(os.environ.get("VECTRON_FUZZ_REQUESTS", 5000))
DOCUMENTED = {200, 400, 404, 409, 413, 429, 501}
DIMENSION = 3
REQUEST_IDS = [""] * 30 + [f"r{i}" for i in range(30)]

JUNK = [None, True, False, 0, -1, 1, 1.5, 1e308, -1e39, 2**31, 2**32, 2**63, 2**64, 1e400, "", "x", "NaN", "Infinity", "\x00",
        "\U0001f600", "é" * 200, "1", [], [[]], {}, {"a": {"b": []}}, [1, "2", None]]


class Collection:
    """What the server must hold. A request id is known with its write, or with None when some shards may not know it."""

    def __init__(self, distance, shards, f16):
        self.cosine = distance == "cosine"
        self.shards = shards
        self.f16 = f16
        self.points = {}  # id -> (vector, payload)
        self.requests = {}  # request id -> write

    def takes(self, vector):
        if self.f16 and max(map(abs, vector)) > 65504:
            return False
        return any(vector) or not self.cosine


class Fuzz(ServerTest):
    def setUp(self):
        self.rng = random.Random(SEED)
        self.model = {}  # name -> Collection

    def pick_name(self):
        return self.rng.choice([f"f{i}" for i in range(4)] + ["missing", "bad name", ""])

    def pick_id(self):
        return self.rng.choice([f"p{i}" for i in range(30)] + ["ü", "a/b", "日本"])

    def vector(self):
        """Whole numbers that f16 keeps as they are; some are nothing to a cosine, or too large for f16."""
        if self.rng.random() < 0.03:
            return [self.rng.choice([0, 70_000]), 0, 0]
        return [self.rng.randrange(-9, 10) for _ in range(DIMENSION)]

    def payload(self):
        return {k: self.rng.choice([1, "t", True, None, [1, 2], {"z": 0}, -0.5]) for k in self.rng.sample("abcdef", self.rng.randrange(4))}

    def spoil(self, value):
        """The value with one random place of it replaced by junk, or removed, or doubled."""
        if isinstance(value, (dict, list)) and value and self.rng.random() < 0.8:
            spoilt = value.copy()
            key = self.rng.choice(list(value)) if isinstance(value, dict) else self.rng.randrange(len(value))
            if self.rng.random() < 0.2:
                del spoilt[key]
            else:
                spoilt[key] = self.spoil(value[key])
            return spoilt
        return self.rng.choice(JUNK)

    def send(self, verb, path, body):
        text = json.dumps(body)
        self.intact = self.rng.random() >= 0.03  # a stray character may turn a known key into one that is ignored
        if not self.intact:
            at = self.rng.randrange(len(text) + 1)
            text = self.rng.choice([text[:at], text[:at] + self.rng.choice("{}[],:\"\\\x01") + text[at:], text + text])
        answer = self.api.call(verb, path, text)
        self.assertIn(answer.status, DOCUMENTED, (verb, path, text[:2000], answer))
        if answer.status >= 400:
            self.assertTrue(answer.message, (verb, path, text[:2000]))
        else:
            json.loads(answer.raw)
        return answer

    def upsert(self):
        name = self.pick_name()
        points = [{"id": self.pick_id(), "vector": self.vector(), "payload": self.payload()} for _ in range(self.rng.randrange(6))]
        body = {"points": points, "requestId": self.rng.choice(REQUEST_IDS), "insertOnly": self.rng.random() < 0.1}
        collection = self.model.get(name)
        if collection and self.rng.random() < 0.3:  # a retry of an earlier write, or what looks like one
            earlier = collection.requests.get(body["requestId"])
            body = earlier if isinstance(earlier, dict) else body
        spoilt = self.rng.random() < 0.4
        answer = self.send("POST", f"/v1/collections/{quote(name)}/points", self.spoil(body) if spoilt else body)
        if collection is None:
            return
        if spoilt or not self.intact:
            self.reread(name, body["requestId"])
        else:
            self.check_upsert(name, collection, body, answer)

    def check_upsert(self, name, collection, body, answer):
        written = {p["id"]: (p["vector"], p["payload"]) for p in body["points"]}
        request, known = body["requestId"], collection.requests
        if not all(collection.takes(p["vector"]) for p in body["points"]):
            self.assertEqual(answer.status, 400, (body, answer))  # and nothing of it is written
        elif not written:
            self.assertEqual(answer.status, 200, (body, answer))
        elif request and request in known and known[request] == body:
            self.assertEqual(answer.status, 200, (body, answer))  # applied before
        elif request and request in known and (known[request] is None or collection.shards > 1):
            self.assertIn(answer.status, (200, 400, 409), (body, answer))
            self.reread(name, request, written)
        elif request and request in known:
            self.assertEqual(answer.status, 400, (body, answer))
            self.assertIn("was used for another write", answer.message)
        elif body["insertOnly"] and written.keys() & collection.points.keys():
            self.assertEqual(answer.status, 409, (body, answer))
            if collection.shards > 1:
                self.reread(name, request, written)
        else:
            self.assertEqual(answer.status, 200, (body, answer))
            collection.points.update(written)
            if request:
                known[request] = body

    def reread(self, name, request, allowed=None):
        """What was written only the server knows; whatever changed must be of `allowed` when given."""
        collection = self.model[name]
        before = collection.points
        collection.points = {p["id"]: (p["vector"], p["payload"]) for p in self.api.scroll_all(name, includeVectors=True)}
        if request:
            collection.requests[request] = None
        if allowed is not None:
            for point in before.keys() | collection.points.keys():
                self.assertIn(collection.points.get(point), [before.get(point), allowed.get(point, before.get(point))], point)

    def create(self):
        name = self.pick_name()
        body = {"name": name, "dimension": DIMENSION, "distance": self.rng.choice(["", "euclidean", "dot", "cosine"]),
                "storage": self.rng.choice(["VECTOR_STORAGE_F32", "VECTOR_STORAGE_F16"]), "shardCount": self.rng.randrange(4),
                "hnsw": {"m": 8}, "payloadIndexes": [{"field": "a", "type": "INTEGER"}]}
        spoilt = self.rng.random() < 0.5
        answer = self.send("POST", "/v1/collections", self.spoil(body) if spoilt else body)
        if answer.status == 200 and (spoilt or not self.intact):  # it may have another name or dimension now
            for made in self.ok(self.api.call("GET", "/v1/collections"))["collections"]:
                if made not in self.model:
                    self.ok(self.api.drop(made))
        elif answer.status == 200:
            self.assertNotIn(name, self.model)
            shards = len(self.ok(self.api.status(name))["shards"])
            self.model[name] = Collection(body["distance"], shards, body["storage"].endswith("F16"))

    def drop(self):
        name = self.pick_name()
        answer = self.send("DELETE", f"/v1/collections/{quote(name)}", None)
        if name:
            self.assertEqual(answer.status, 200 if name in self.model else 404)
            self.model.pop(name, None)

    def delete(self):
        name, point, request = self.pick_name(), self.pick_id(), self.rng.choice(REQUEST_IDS)
        answer = self.send("DELETE", f"/v1/collections/{quote(name)}/points/{quote(point)}?requestId={request}", None)
        collection = self.model.get(name)
        if collection is None:
            return
        known = collection.requests
        if not request or request not in known:
            self.assertEqual(answer.status, 200, answer)
            collection.points.pop(point, None)
            if request:
                known[request] = point
        elif known[request] == point:
            self.assertEqual(answer.status, 200, answer)
        elif known[request] is not None and collection.shards == 1:
            self.assertEqual(answer.status, 400, answer)
        else:
            self.assertIn(answer.status, (200, 400), answer)
            self.reread(name, request, {point: None})

    def get(self):
        name, point = self.pick_name(), self.pick_id()
        answer = self.send("GET", f"/v1/collections/{quote(name)}/points/{quote(point)}", None)
        if name:
            self.assertEqual(answer.status, 200 if name in self.model and point in self.model[name].points else 404)
        if answer.status == 200:
            self.assertEqual((answer.json["point"]["vector"], answer.json["point"]["payload"]), self.model[name].points[point])

    def search(self):
        name = self.pick_name()
        body = {"vector": self.vector(), "topK": self.rng.choice([0, 1, 5, 100]), "includeVectors": self.rng.random() < 0.5,
                "offset": self.rng.choice([0, 0, 3]), "params": {"ef": 10, "exact": self.rng.random() < 0.5},
                "filter": {"must": [{"field": "a", "match": [1, "t"]}], "min_should": 0}, "explain": self.rng.random() < 0.2}
        spoilt = self.rng.random() < 0.5
        answer = self.send("POST", f"/v1/collections/{quote(name)}/points/search", self.spoil(body) if spoilt else body)
        if name in self.model and not spoilt and self.intact:
            zero = self.model[name].cosine and not any(body["vector"])
            self.assertEqual(answer.status, 400 if zero else 200, (body, answer))
        if answer.status == 200 and not spoilt and self.intact:
            matching = [i for i, (_, p) in self.model[name].points.items() if p.get("a") in (1, "t") and p.get("a") is not True or p.get("a") == [1, 2]]
            top_k = body["topK"] or 10
            self.assertEqual(len(answer.json["results"]), min(top_k, max(0, len(matching) - body["offset"])))
            for hit in answer.json["results"]:
                self.assertEqual(hit["payload"], self.model[name].points[hit["id"]][1])

    def compare(self):
        self.assertEqual(sorted(self.ok(self.api.call("GET", "/v1/collections"))["collections"]), sorted(self.model))
        for name, collection in self.model.items():
            got = {p["id"]: (p["vector"], p["payload"]) for p in self.api.scroll_all(name, includeVectors=True)}
            self.assertEqual(got, collection.points, name)
            self.assertEqual(self.ok(self.api.status(name))["pointCount"], str(len(collection.points)))

    def test_requests_from_a_seed(self):
        actions = [self.upsert] * 8 + [self.search] * 6 + [self.get] * 3 + [self.delete] * 3 + [self.create] * 3 + [self.drop]
        step = 0
        print(f"VECTRON_FUZZ_SEED={SEED}")
        try:
            for step in range(REQUESTS):
                self.rng.choice(actions)()
                if step % 200 == 199:
                    self.compare()
        except Exception:
            print(f"at request {step}; replay: VECTRON_FUZZ_SEED={SEED}")
            raise
        self.compare()
