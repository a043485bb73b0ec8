"""Random requests, most of them a little wrong, against a model: documented codes only, never a 5xx, never a hang, and the
state is what the model says. VECTRON_FUZZ_SEED replays a run, VECTRON_FUZZ_REQUESTS makes it longer."""

import json
import os
import random

from vectron_server import ServerTest, quote

SEED = int(os.environ.get("VECTRON_FUZZ_SEED", 1))  # a change is judged by the same requests as the one before it
REQUESTS = int(os.environ.get("VECTRON_FUZZ_REQUESTS", 3000))
DOCUMENTED = {200, 400, 404, 409, 413, 429, 501}
DIMENSION = 3

JUNK = [None, True, False, 0, -1, 1, 1.5, 1e308, -1e39, 2**31, 2**32, 2**63, 2**64, 1e400, "", "x", "NaN", "Infinity", "\x00",
        "\U0001f600", "é" * 200, "1", [], [[]], {}, {"a": {"b": []}}, [1, "2", None]]


class Fuzz(ServerTest):
    def setUp(self):
        self.rng = random.Random(SEED)
        self.model = {}  # collection -> id -> (vector, payload)

    def pick_name(self):
        return self.rng.choice([f"f{i}" for i in range(4)] + ["missing", "bad name", ""])

    def pick_id(self):
        return self.rng.choice([f"p{i}" for i in range(30)] + ["ü", "a/b", "日本"])

    def vector(self):
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
        body = {"points": points}
        spoilt = self.rng.random() < 0.4
        answer = self.send("POST", f"/v1/collections/{quote(name)}/points", self.spoil(body) if spoilt else body)
        if answer.status == 200 and not spoilt and self.intact:
            for point in points:
                self.model[name][point["id"]] = (point["vector"], point["payload"])
        elif answer.status == 200:
            self.reread(name)

    def reread(self, name):
        """A spoilt request that passed wrote something; what, the server knows."""
        self.model[name] = {p["id"]: (p["vector"], p["payload"]) for p in self.api.scroll_all(name, includeVectors=True)}

    def create(self):
        name = self.pick_name()
        body = {"name": name, "dimension": DIMENSION, "distance": self.rng.choice(["", "euclidean", "dot"]),
                "shardCount": self.rng.randrange(4), "hnsw": {"m": 8}, "payloadIndexes": [{"field": "a", "type": "INTEGER"}]}
        spoilt = self.rng.random() < 0.5
        answer = self.send("POST", "/v1/collections", self.spoil(body) if spoilt else body)
        if answer.status == 200 and (spoilt or not self.intact):  # it may have another name or dimension now
            for made in self.ok(self.api.call("GET", "/v1/collections"))["collections"]:
                if made not in self.model:
                    self.ok(self.api.drop(made))
        elif answer.status == 200:
            self.assertNotIn(name, self.model)
            self.model[name] = {}

    def drop(self):
        name = self.pick_name()
        answer = self.send("DELETE", f"/v1/collections/{quote(name)}", None)
        if name:
            self.assertEqual(answer.status, 200 if name in self.model else 404)
            self.model.pop(name, None)

    def delete(self):
        name, point = self.pick_name(), self.pick_id()
        answer = self.send("DELETE", f"/v1/collections/{quote(name)}/points/{quote(point)}", None)
        if answer.status == 200:
            self.model[name].pop(point, None)

    def get(self):
        name, point = self.pick_name(), self.pick_id()
        answer = self.send("GET", f"/v1/collections/{quote(name)}/points/{quote(point)}", None)
        if name:
            self.assertEqual(answer.status, 200 if point in self.model.get(name, {}) else 404)
        if answer.status == 200:
            self.assertEqual((answer.json["point"]["vector"], answer.json["point"]["payload"]), self.model[name][point])

    def search(self):
        name = self.pick_name()
        body = {"vector": self.vector(), "topK": self.rng.choice([0, 1, 5, 100]), "includeVectors": self.rng.random() < 0.5,
                "offset": self.rng.choice([0, 0, 3]), "params": {"ef": 10, "exact": self.rng.random() < 0.5},
                "filter": {"must": [{"field": "a", "match": [1, "t"]}], "min_should": 0}, "explain": self.rng.random() < 0.2}
        spoilt = self.rng.random() < 0.5
        answer = self.send("POST", f"/v1/collections/{quote(name)}/points/search", self.spoil(body) if spoilt else body)
        if answer.status == 200 and not spoilt and self.intact:
            matching = [i for i, (_, p) in self.model[name].items() if p.get("a") in (1, "t") and p.get("a") is not True or p.get("a") == [1, 2]]
            top_k = body["topK"] or 10
            self.assertEqual(len(answer.json["results"]), min(top_k, max(0, len(matching) - body["offset"])))
            for hit in answer.json["results"]:
                self.assertEqual(hit["payload"], self.model[name][hit["id"]][1])

    def compare(self):
        self.assertEqual(sorted(self.ok(self.api.call("GET", "/v1/collections"))["collections"]), sorted(self.model))
        for name, points in self.model.items():
            got = {p["id"]: (p["vector"], p["payload"]) for p in self.api.scroll_all(name, includeVectors=True)}
            self.assertEqual(got, points, name)
            self.assertEqual(self.ok(self.api.status(name))["pointCount"], str(len(points)))

    def test_requests_from_a_seed(self):
        actions = [self.upsert] * 8 + [self.search] * 6 + [self.get] * 3 + [self.delete] * 3 + [self.create] * 3 + [self.drop]
        step = 0
        try:
            for step in range(REQUESTS):
                self.rng.choice(actions)()
                if step % 200 == 199:
                    self.compare()
        except Exception:
            print(f"at request {step}; replay: VECTRON_FUZZ_SEED={SEED}")
            raise
        self.compare()
