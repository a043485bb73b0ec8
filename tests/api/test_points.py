from vectron_server import ALREADY_EXISTS, INVALID_ARGUMENT, NOT_FOUND, ServerTest, quote


class Points(ServerTest):
    def test_a_point_comes_back_as_it_was_written(self):
        name = self.make(3)
        payload = {"s": "text \u00e9 \U0001f600 \" \\ \n", "i": 9007199254740993, "neg": -1, "f": 0.1, "t": True, "n": None,
                   "list": [1, "a", [2], {}], "deep": {"a": {"b": [1.5e300]}}, "": "empty key", "zero": 0, "e": {}}
        point = {"id": "a", "vector": [0.1, -2.5e-3, 3], "payload": payload}
        self.assertEqual(self.ok(self.api.upsert(name, [point])), {"upserted": 1, "versions": []})
        back = self.ok(self.api.get(name, "a"))["point"]
        self.assertEqual(back["payload"], payload)
        self.assertEqual(back["id"], "a")
        for got, want in zip(back["vector"], point["vector"]):
            self.assertAlmostEqual(got, want, delta=1e-6)
        self.assertGreater(int(back["version"]), 0)

    def test_a_point_without_payload_has_an_empty_one(self):
        name = self.make(1)
        self.ok(self.api.upsert(name, [{"id": "a", "vector": [1]}, {"id": "b", "vector": [2], "payload": {}},
                                       {"id": "c", "vector": [2], "payload": None}]))
        for point in "abc":
            self.assertEqual(self.ok(self.api.get(name, point))["point"]["payload"], {})

    def test_an_upsert_replaces_the_whole_point(self):
        name = self.make(2)
        self.ok(self.api.upsert(name, [{"id": "a", "vector": [1, 1], "payload": {"x": 1, "y": 2}}]))
        self.ok(self.api.upsert(name, [{"id": "a", "vector": [2, 2], "payload": {"z": 3}}]))
        point = self.ok(self.api.get(name, "a"))["point"]
        self.assertEqual((point["vector"], point["payload"]), ([2, 2], {"z": 3}))
        self.assertEqual(self.ok(self.api.status(name))["pointCount"], "1")

    def test_of_two_points_with_one_id_the_last_wins_and_both_count(self):
        name = self.make(1, shardCount=2)
        answer = self.ok(self.api.upsert(name, [{"id": "a", "vector": [1]}, {"id": "b", "vector": [2]},
                                                {"id": "a", "vector": [3]}], returnVersions=True))
        self.assertEqual(answer["upserted"], 3)
        self.assertEqual(answer["versions"][0], answer["versions"][2])
        self.assertEqual(self.ok(self.api.get(name, "a"))["point"]["vector"], [3])

    def test_ids_of_any_script_and_any_printable_character_work(self):
        name = self.make(1, shardCount=3)
        ids = ["a b", "a/b", "a%2Fb", "?", "#x", "ü", "日本語", "\U0001f600", "'\"", "\\", ".", "..", "a" * 256, "é" * 128]
        self.ok(self.api.upsert(name, [{"id": i, "vector": [n]} for n, i in enumerate(ids)]))
        for n, i in enumerate(ids):
            with self.subTest(id=i):
                point = self.ok(self.api.get(name, i))["point"]
                self.assertEqual((point["id"], point["vector"]), (i, [n]))
        found = self.ok(self.api.search(name, [0], topK=len(ids)))["results"]
        self.assertEqual(sorted(hit["id"] for hit in found), sorted(ids))
        for i in ids:
            self.ok(self.api.delete(name, i))
        self.assertEqual(self.ok(self.api.status(name))["pointCount"], "0")

    def test_versions_rise_and_name_the_last_write(self):
        name = self.make(1, shardCount=4)
        points = [{"id": f"p{i}", "vector": [i]} for i in range(20)]
        first = self.ok(self.api.upsert(name, points, returnVersions=True))["versions"]
        second = self.ok(self.api.upsert(name, points, return_versions=True))["versions"]
        for i in range(20):
            self.assertLess(int(first[i]), int(second[i]))
            self.assertEqual(self.ok(self.api.get(name, f"p{i}"))["point"]["version"], second[i])

    def test_deleting_is_idempotent(self):
        name = self.make(1)
        self.ok(self.api.upsert(name, [{"id": "a", "vector": [1]}]))
        first = self.ok(self.api.delete(name, "a"))
        self.assertGreater(int(first["version"]), 0)
        self.ok(self.api.delete(name, "a"))
        self.ok(self.api.delete(name, "never"))
        self.refused(self.api.get(name, "a"), 404, NOT_FOUND, "'a'", name)
        self.assertEqual(self.ok(self.api.search(name, [1]))["results"], [])

    def test_a_retried_request_applies_once(self):
        name = self.make(1, shardCount=2)
        batch = [{"id": f"p{i}", "vector": [i]} for i in range(6)]
        first = self.ok(self.api.upsert(name, batch, requestId="r1", returnVersions=True))
        self.ok(self.api.upsert(name, [{"id": "p0", "vector": [99]}], requestId="r2"))
        again = self.ok(self.api.upsert(name, batch, requestId="r1", returnVersions=True))
        self.assertEqual(first, again)
        self.assertEqual(self.ok(self.api.get(name, "p0"))["point"]["vector"], [99])
        gone = self.ok(self.api.delete(name, "p0", "?requestId=r3"))
        self.ok(self.api.upsert(name, [{"id": "p0", "vector": [7]}]))
        self.assertEqual(self.ok(self.api.delete(name, "p0", "?request_id=r3")), gone)
        self.assertEqual(self.ok(self.api.get(name, "p0"))["point"]["vector"], [7])

    def test_a_request_id_of_another_write_is_refused(self):
        name = self.make(1)
        self.ok(self.api.upsert(name, [{"id": "q1", "vector": [1]}], requestId="X1"))
        text = "request id 'X1' was used for another write"
        self.refused(self.api.delete(name, "q1", "?requestId=X1"), 400, INVALID_ARGUMENT, text)
        self.refused(self.api.upsert(name, [{"id": "q2", "vector": [1]}], requestId="X1"), 400, INVALID_ARGUMENT, text)
        self.refused(self.api.upsert(name, [{"id": "q1", "vector": [2]}], requestId="X1"), 400, INVALID_ARGUMENT, text)
        self.ok(self.api.upsert(name, [{"id": "q1", "vector": [1]}], requestId="X1"))
        self.assertEqual([(p["id"], p["vector"]) for p in self.api.scroll_all(name, includeVectors=True)], [("q1", [1])])

    def test_insert_only_refuses_existing_points_and_writes_nothing(self):
        name = self.make(1)
        self.ok(self.api.upsert(name, [{"id": "a", "vector": [1]}], insertOnly=True))
        self.refused(self.api.upsert(name, [{"id": "b", "vector": [1]}, {"id": "a", "vector": [2]}], insertOnly=True),
                     409, ALREADY_EXISTS, "'a'")
        self.refused(self.api.get(name, "b"), 404, NOT_FOUND)
        self.assertEqual(self.ok(self.api.get(name, "a"))["point"]["vector"], [1])

    def test_an_empty_batch_is_no_error(self):
        self.assertEqual(self.ok(self.api.upsert(self.make(), [])), {"upserted": 0, "versions": []})

    def test_the_path_names_the_collection_whatever_the_body_says(self):
        name, other = self.make(1), self.make(1)
        self.ok(self.api.upsert(name, [{"id": "a", "vector": [1]}], collection=other))
        self.ok(self.api.get(name, "a"))
        self.refused(self.api.get(other, "a"), 404, NOT_FOUND)

    def test_unknown_keys_are_ignored(self):
        name = self.make(1)
        self.ok(self.api.upsert(name, [{"id": "a", "vector": [1], "colour": "red"}], flavour={"x": [1, {"y": 2}]}))
        self.ok(self.api.search(name, [1], flavour="sweet"))

    def test_the_typed_payload_of_grpc_is_an_unknown_key_here(self):
        name = self.make(1)
        self.ok(self.api.upsert(name, [{"id": "a", "vector": [1], "payload": {"x": 1}, "fields": {"x": 2, "y": 3}}]))
        point = self.ok(self.api.get(name, "a"))["point"]
        self.assertEqual(point["payload"], {"x": 1})
        self.assertNotIn("fields", point)
        self.assertNotIn("fields", self.ok(self.api.search(name, [1]))["results"][0])

    def test_scroll_gives_every_point_once_in_order(self):
        name = self.make(1, shardCount=3)
        ids = [f"p{i:03}" for i in range(250)]
        self.ok(self.api.upsert(name, [{"id": i, "vector": [1], "payload": {"n": n}} for n, i in enumerate(ids)]))
        points = self.api.scroll_all(name, limit=60)
        self.assertEqual([point["id"] for point in points], ids)
        self.assertEqual(points[7]["payload"], {"n": 7})
        self.assertEqual(points[7]["vector"], [])
        points = self.api.scroll_all(name, limit=17, includeVectors=True, include_metadata=False,
                                     filter={"must": [{"field": "n", "range": {"gte": 100, "lt": 150}}]})
        self.assertEqual([point["id"] for point in points], ids[100:150])
        self.assertEqual((points[0]["vector"], points[0]["payload"]), ([1], {}))
        self.refused(self.api.scroll(name, limit=10001), 400, INVALID_ARGUMENT, "limit", "10001", "10000")
        self.refused(self.api.scroll(name, afterId="a\x01"), 400, INVALID_ARGUMENT, "after_id")
        self.refused(self.api.scroll(name, filter={"must": [{"field": "n", "matches": 1}]}), 400, INVALID_ARGUMENT, "filter.must[0]")
        path = f"/v1/collections/{quote(name)}/points/scroll"
        self.assertEqual(len(self.ok(self.api.call("POST", path))["points"]), 100)
        self.refused(self.api.call("POST", path + "?limit=5"), 400, INVALID_ARGUMENT, "in the body")

    def test_get_takes_its_consistency_from_the_query(self):
        name = self.make(1)
        self.ok(self.api.upsert(name, [{"id": "a", "vector": [1]}]))
        for query in ["?consistency=STRONG", "?consistency=BOUNDED&maxStalenessMs=5", "?consistency=EVENTUAL", "?x=y"]:
            self.ok(self.api.get(name, "a", query))
        self.refused(self.api.get(name, "a", "?consistency=WILD"), 400, INVALID_ARGUMENT, "consistency")

    def test_bad_escapes_in_a_path_are_refused(self):
        name = self.make(1)
        self.refused(self.api.call("GET", f"/v1/collections/{quote(name)}/points/%zz"), 400, INVALID_ARGUMENT)
        self.refused(self.api.call("GET", f"/v1/collections/{quote(name)}/points/%ff"), 400, INVALID_ARGUMENT)
