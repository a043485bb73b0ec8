from vectron_server import ALREADY_EXISTS, FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, ServerTest


class Collections(ServerTest):
    def test_created_listed_described_deleted(self):
        name = self.name()
        self.assertEqual(self.ok(self.api.create(name, 3, distance="cosine")), {"success": True})
        self.assertIn(name, self.ok(self.api.call("GET", "/v1/collections"))["collections"])
        status = self.ok(self.api.status(name))
        self.assertEqual((status["name"], status["dimension"], status["distance"]), (name, 3, "cosine"))
        self.assertEqual(status["pointCount"], "0")
        self.assertEqual(status["shards"], [{"shardId": 0, "replicas": ["1"], "leaderId": "1", "ready": True}])
        self.assertEqual(self.ok(self.api.drop(name)), {"success": True})
        self.assertNotIn(name, self.ok(self.api.call("GET", "/v1/collections"))["collections"])
        self.refused(self.api.status(name), 404, NOT_FOUND, name)

    def test_a_name_can_be_used_again_and_begins_empty(self):
        name = self.make(2)
        self.ok(self.api.upsert(name, [{"id": "a", "vector": [1, 2]}]))
        self.ok(self.api.drop(name))
        self.ok(self.api.create(name, 3))
        self.assertEqual(self.ok(self.api.status(name))["pointCount"], "0")
        self.refused(self.api.get(name, "a"), 404, NOT_FOUND)

    def test_options_are_given_back(self):
        name = self.make(
            8, distance="dot", shard_count=3, hnsw={"m": 8, "efConstruct": 64, "ef_search": 90},
            storage="VECTOR_STORAGE_F16", payloadIndexes=[{"field": "tags[]", "type": "KEYWORD"}],
            defaultConsistency="EVENTUAL", vectors_in_memory=True)
        status = self.ok(self.api.status(name))
        self.assertEqual(status["options"], {
            "name": name, "dimension": 8, "distance": "dot", "shardCount": 3, "replicationFactor": 1,
            "hnsw": {"m": 8, "efConstruct": 64, "efSearch": 90}, "storage": "VECTOR_STORAGE_F16",
            "payloadIndexes": [{"field": "tags[]", "type": "KEYWORD"}], "defaultConsistency": "EVENTUAL",
            "rerank": None, "vectorsInMemory": True})
        self.assertEqual([shard["shardId"] for shard in status["shards"]], [0, 1, 2])

    def test_an_empty_distance_is_euclidean(self):
        self.assertEqual(self.ok(self.api.status(self.make()))["distance"], "euclidean")

    def test_a_taken_name_is_refused(self):
        name = self.make()
        self.refused(self.api.create(name, 4), 409, ALREADY_EXISTS, name)
        self.refused(self.api.create(name, 5), 409, ALREADY_EXISTS, name)

    def test_bad_names_are_refused(self):
        for bad in ["", "-a", "_a", "a b", "a/b", "..", "ä", "a" * 129, "a\n"]:
            self.refused(self.api.create(bad, 4), 400, INVALID_ARGUMENT, "name")
        for good in ["0", "a" * 128, "A-b_9"]:
            self.ok(self.api.create(good, 4))
            self.ok(self.api.drop(good))

    def test_bad_options_are_refused_by_name(self):
        for options, field in [
                ({"dimension": 0}, "dimension"), ({"dimension": -1}, "dimension"), ({"dimension": 65536}, "dimension"),
                ({"distance": "manhattan"}, "distance"), ({"distance": "Cosine"}, "distance"),
                ({"shardCount": 1025}, "shard_count"), ({"replicationFactor": 8}, "replication_factor"),
                ({"hnsw": {"m": 3}}, "hnsw.m"), ({"hnsw": {"m": 65}}, "hnsw.m"),
                ({"hnsw": {"efConstruct": 7}}, "hnsw.ef_construct"), ({"hnsw": {"efConstruct": 4097}}, "hnsw.ef_construct"),
                ({"payloadIndexes": [{"field": "a"}]}, "payload_indexes"),
                ({"payloadIndexes": [{"field": "", "type": "KEYWORD"}]}, "payload_indexes"),
                ({"payloadIndexes": [{"field": "a..b", "type": "KEYWORD"}]}, "payload_indexes"),
                ({"payloadIndexes": [{"field": f"f{i}", "type": "BOOL"} for i in range(65)]}, "payload_indexes")]:
            name = self.name()
            with self.subTest(options=str(options)[:80]):
                body = {"name": name, "dimension": 4, **options}
                self.refused(self.api.call("POST", "/v1/collections", body), 400, INVALID_ARGUMENT, field)
                self.refused(self.api.status(name), 404, NOT_FOUND)

    def test_more_replicas_than_workers_is_refused(self):
        self.refused(self.api.create(self.name(), 4, replicationFactor=3), 400, FAILED_PRECONDITION, "3", "1 worker")

    def test_an_unknown_collection_is_not_found_everywhere(self):
        for answer in [self.api.status("nope"), self.api.drop("nope"), self.api.get("nope", "a"), self.api.delete("nope", "a"),
                       self.api.upsert("nope", [{"id": "a", "vector": [1]}]), self.api.search("nope", [1]),
                       self.api.scroll("nope")]:
            self.refused(answer, 404, NOT_FOUND, "nope")

    def test_the_largest_dimension_works(self):
        name = self.make(65535)
        vector = [0.5] * 65535
        self.ok(self.api.upsert(name, [{"id": "a", "vector": vector}]))
        self.assertEqual(self.ok(self.api.search(name, vector, exact=True))["results"][0]["score"], 0)
