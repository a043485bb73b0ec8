"""Every limit of the interface: its code, a message that names the point, the field, got and wanted, and nothing written."""

import json

from vectron_server import INVALID_ARGUMENT, NOT_FOUND, RESOURCE_EXHAUSTED, ServerTest


def nested(depth):
    value = 1
    for _ in range(depth):
        value = {"a": value}
    return value


class Limits(ServerTest):
    def refuses_batch(self, name, bad_point, *parts, **options):
        """A batch of a good point and a bad one writes neither."""
        self.refused(self.api.upsert(name, [{"id": "good", "vector": [1, 2, 3]}, bad_point], **options),
                     400, INVALID_ARGUMENT, *parts)
        self.refused(self.api.get(name, "good"), 404, NOT_FOUND)
        self.assertEqual(self.ok(self.api.status(name))["pointCount"], "0")

    def raw_upsert(self, name, text):
        return self.api.call("POST", f"/v1/collections/{name}/points", text)

    def test_vectors(self):
        name = self.make(3, shardCount=4)
        for vector, parts in [([1, 2], ["2", "3"]), ([1, 2, 3, 4], ["4", "3"]), ([], ["empty"])]:
            with self.subTest(vector=vector):
                self.refuses_batch(name, {"id": "bad", "vector": vector}, "points[1]", "'bad'", "vector", *parts)
        self.refuses_batch(name, {"id": "bad"}, "points[1]", "vector")
        for component in ["1e39", "-1e39", "1e400", "NaN", "Infinity", '"NaN"', '"Infinity"', '"-Infinity"', '"x"', "null", "true", "[1]"]:
            with self.subTest(component=component):
                body = '{"points":[{"id":"good","vector":[1,2,3]},{"id":"bad","vector":[1,%s,3]}]}' % component
                self.refused(self.raw_upsert(name, body), 400, INVALID_ARGUMENT)
                self.assertEqual(self.ok(self.api.status(name))["pointCount"], "0")

    def test_the_message_names_point_field_and_component(self):
        name = self.make(3)
        answer = self.raw_upsert(name, '{"points":[{"id":"good","vector":[1,2,3]},{"id":"bad","vector":[1,2,1e39]}]}')
        self.refused(answer, 400, INVALID_ARGUMENT, "points[1]", "vector")

    def test_the_point_that_differs_from_the_collection_is_blamed(self):
        name = self.make(3)
        wrong, right = {"id": "wrong", "vector": [1, 2]}, {"id": "right", "vector": [1, 2, 3]}
        text = f"(id 'wrong'): vector has 2 components, collection '{name}' wants 3"
        self.refused(self.api.upsert(name, [wrong, right]), 400, INVALID_ARGUMENT, "points[0] " + text)
        self.refused(self.api.upsert(name, [right, right, wrong, right]), 400, INVALID_ARGUMENT, "points[2] " + text)

    def test_nan_as_python_writes_it_is_named(self):
        name = self.make(3)
        for literal, words in [(float("nan"), "NaN"), (float("inf"), "Infinity"), (float("-inf"), "Infinity")]:
            with self.subTest(literal=literal):
                self.refuses_batch(name, {"id": "bad", "vector": [1, literal, 3]}, "points[1] (id 'bad')", "vector[1]", words, "JSON", "byte")
                self.refuses_batch(name, {"id": "bad", "vector": [1, 2, 3], "payload": {"x": literal}}, "points[1] (id 'bad')",
                                   "payload", f"JSON has no {'-' if literal < 0 else ''}{words}", "byte")
                self.refused(self.api.search(name, [1, literal, 3]), 400, INVALID_ARGUMENT, "vector[1]", words, "JSON")
                self.refused(self.api.search(name, [1, 2, 3], params={"ef": literal}), 400, INVALID_ARGUMENT, "params.ef", words, "JSON", "byte")
        self.refused(self.api.create("nan", float("nan")), 400, INVALID_ARGUMENT, "JSON has no NaN", "byte")

    def test_f16_storage_refuses_before_anything_is_written(self):
        good = [{"id": f"g{i}", "vector": [1, 2, 3]} for i in range(20)]
        for distance, vector, parts in [("euclidean", [70000, 1, 1], ["vector[0]", "70000", "65504"]),
                                        ("cosine", [1e-9, 0, 0], ["zero", "f16"])]:
            with self.subTest(distance=distance):
                name = self.make(3, storage="VECTOR_STORAGE_F16", shardCount=4, distance=distance)
                self.refused(self.api.upsert(name, good + [{"id": "bad", "vector": vector}]), 400, INVALID_ARGUMENT,
                             "points[20] (id 'bad')", name, *parts)
                self.assertEqual(self.api.scroll_all(name), [])

    def test_vectors_whose_distances_would_overflow(self):
        for distance in ["euclidean", "dot"]:
            name = self.make(3, distance=distance)
            self.refuses_batch(name, {"id": "bad", "vector": [1e38, 1e38, 1e38]}, "points[1] (id 'bad')", "length", "9e+18")
            self.refused(self.api.search(name, [1e38, 1e38, 1e38]), 400, INVALID_ARGUMENT, "vector", "length", "9e+18")
            # The longest there may be, in opposite directions: far apart, and still in order.
            self.ok(self.api.upsert(name, [{"id": "far", "vector": [-8.99e18, 0, 0]}, {"id": "near", "vector": [4e18, 0, 0]}]))
            hits = self.ok(self.api.search(name, [8.99e18, 0, 0]))["results"]
            self.assertEqual([hit["id"] for hit in hits], ["near", "far"])
            self.assertTrue(all(isinstance(hit["score"], float) for hit in hits), hits)
        name = self.make(3, distance="cosine")  # knows directions only
        self.ok(self.api.upsert(name, [{"id": "a", "vector": [1e38, 1e38, 1e38]}]))
        self.assertAlmostEqual(self.ok(self.api.search(name, [1e-38, 1e-38, 1e-38]))["results"][0]["score"], 0, places=6)

    def test_zero_vectors_with_cosine(self):
        name = self.make(3, distance="cosine")
        self.refuses_batch(name, {"id": "bad", "vector": [0, 0, 0]}, "points[1]", "'bad'", "zero")
        self.refused(self.api.search(name, [0, 0, 0]), 400, INVALID_ARGUMENT, "vector", "zero")
        other = self.make(3, distance="dot")
        self.ok(self.api.upsert(other, [{"id": "a", "vector": [0, 0, 0]}]))
        self.ok(self.api.search(other, [0, 0, 0]))

    def test_ids(self):
        name = self.make(3)
        for bad in ["", "a" * 257, "é" * 129, "a\n", "\x00", "\x7f", "\x85"]:
            with self.subTest(id=bad):
                self.refuses_batch(name, {"id": bad, "vector": [1, 2, 3]}, "points[1]", "id")
        self.refuses_batch(name, {"vector": [1, 2, 3]}, "points[1]", "id")
        self.refused(self.raw_upsert(name, b'{"points":[{"id":"\xff","vector":[1,2,3]}]}'), 400, INVALID_ARGUMENT)
        self.refused(self.api.get(name, "a" * 257), 400, INVALID_ARGUMENT, "id")
        self.refused(self.api.delete(name, "a\n"), 400, INVALID_ARGUMENT, "id")

    def test_payloads(self):
        name = self.make(3)
        big = "x" * (1 << 20)
        self.refuses_batch(name, {"id": "bad", "vector": [1, 2, 3], "payload": {"big": big}}, "points[1]", "payload", "1048576")
        self.refuses_batch(name, {"id": "bad", "vector": [1, 2, 3], "payload": nested(33)}, "points[1]", "payload", "32")
        for wrong in ["text", 1, [1], True]:
            with self.subTest(payload=wrong):
                self.refuses_batch(name, {"id": "bad", "vector": [1, 2, 3], "payload": wrong}, "points[1]", "payload")
        largest = {"big": "x" * ((1 << 20) - len('{"big":""}'))}
        self.ok(self.api.upsert(name, [{"id": "a", "vector": [1, 2, 3], "payload": largest},
                                       {"id": "b", "vector": [1, 2, 3], "payload": nested(32)}]))
        self.assertEqual(self.ok(self.api.get(name, "a"))["point"]["payload"], largest)
        self.assertEqual(self.ok(self.api.get(name, "b"))["point"]["payload"], nested(32))

    def test_points_of_one_upsert(self):
        name = self.make(1)
        points = ",".join('{"id":"%d","vector":[1]}' % i for i in range(100_001))
        self.refused(self.raw_upsert(name, '{"points":[%s]}' % points), 400, INVALID_ARGUMENT, "points", "100000")
        self.assertEqual(self.ok(self.api.status(name))["pointCount"], "0")
        self.assertEqual(self.ok(self.raw_upsert(name, '{"points":[%s]}' % points.rsplit(",{", 1)[0]))["upserted"], 100_000)

    def test_bytes_of_one_upsert(self):
        name = self.make(32768)
        vector = "[" + ",".join(["1"] * 32768) + "]"  # 128 KiB of floats in 64 KiB of text
        points = ",".join('{"id":"%d","vector":%s}' % (i, vector) for i in range(513))
        self.refused(self.raw_upsert(name, '{"points":[%s]}' % points), 400, INVALID_ARGUMENT, str(64 << 20))
        self.assertEqual(self.ok(self.api.status(name))["pointCount"], "0")

    def test_a_body_past_its_limit_is_refused_before_it_is_read(self):
        name = self.make(3)
        for path, size in [(f"/v1/collections/{name}/points", (256 << 20) + 1), ("/v1/collections", (4 << 20) + 1)]:
            client = self.server.client()
            client.connection.putrequest("POST", path)
            client.connection.putheader("Content-Length", str(size))
            client.connection.endheaders()
            response = client.connection.getresponse()
            self.assertEqual(response.status, 413)
            self.assertEqual(json.loads(response.read())["code"], RESOURCE_EXHAUSTED)
            client.close()

    def test_queries(self):
        name = self.make(3)
        self.ok(self.api.upsert(name, [{"id": "a", "vector": [1, 2, 3]}]))
        good = [1, 2, 3]
        for vector in [[1, 2], [1, 2, 3, 4], [], [1, 2, 1e39]]:
            self.refused(self.api.search(name, vector), 400, INVALID_ARGUMENT, "vector")
        self.refused(self.api.call("POST", f"/v1/collections/{name}/points/search", "{}"), 400, INVALID_ARGUMENT, "vector")
        self.refused(self.api.search(name, good, topK=16385), 400, INVALID_ARGUMENT, "top_k", "16385", "16384")
        self.refused(self.api.search(name, good, topK=10000, offset=6385), 400, INVALID_ARGUMENT, "offset", "16384")
        self.refused(self.api.search(name, good, params={"ef": 65537}), 400, INVALID_ARGUMENT, "ef", "65537", "65536")
        self.refused(self.api.search(name, good, topK=-1), 400, INVALID_ARGUMENT)
        self.refused(self.api.search(name, good, topK="many"), 400, INVALID_ARGUMENT)
        self.refused(self.api.search(name, good, payloadFields=["f"] * 257), 400, INVALID_ARGUMENT, "payload_fields", "257", "256")
        self.refused(self.api.search(name, good, consistency="MAYBE"), 400, INVALID_ARGUMENT, "consistency")
        self.ok(self.api.search(name, good, topK=16384))
        self.ok(self.api.search(name, good, topK=10000, offset=6384, params={"ef": 65536}))

    def test_filters(self):
        name = self.make(3)
        deep = {"must": [{"field": "a", "match": 1}]}
        for _ in range(16):
            deep = {"must": [{"filter": deep}]}
        deeper = {"must": [{"filter": deep}]}
        wide = {"should": [{"field": "a", "match": i} for i in range(1025)]}
        many = {"must": [{"field": "a", "match": list(range(65537))}]}
        path = {"must": [{"field": "a" * 513, "match": 1}]}
        for bad, part in [(deep, "16 levels"), (deeper, "32 levels"), (wide, "1024"), (many, "65536"), (path, "512")]:
            self.refused(self.api.search(name, [1, 2, 3], filter=bad), 400, INVALID_ARGUMENT, part)

    def test_request_ids(self):
        name = self.make(3)
        point = {"id": "a", "vector": [1, 2, 3]}
        self.refused(self.api.upsert(name, [point], requestId="r" * 129), 400, INVALID_ARGUMENT, "request_id", "129", "128")
        self.refused(self.api.delete(name, "a", "?requestId=" + "r" * 129), 400, INVALID_ARGUMENT, "request_id", "129", "128")
        self.ok(self.api.upsert(name, [point], requestId="r" * 128))
