"""What clients were told, so that it can be held against what a server knows after a crash.

A write that was acknowledged must be there; one that got no answer may be there or not, but whole; anything else must not."""

import http.client
import time

GONE = None
DIMENSION = 8


def vector_of(point, number):
    """A vector that belongs to this write of this point alone."""
    return [number, sum(point.encode()) % 997, *[(number * 31 + i * len(point)) % 101 for i in range(DIMENSION - 2)]]


def point_of(point, number):
    return {"id": point, "vector": vector_of(point, number), "payload": {"n": number, "id": point}}


class Ledger:
    """The points of one collection as one writer knows them. Confined to one thread at a time."""

    def __init__(self):
        self.known = {}    # id -> number of the last acknowledged write, or GONE
        self.unsure = {}   # id -> numbers (or GONE) of writes without an answer

    def write(self, send, changes):
        """changes: id -> number or GONE; send() returns an Answer or raises when the server is gone."""
        for point, number in changes.items():
            self.unsure.setdefault(point, []).append(number)
        try:
            answer = send()
        except (http.client.HTTPException, OSError):
            return False
        if answer.status != 200:
            raise AssertionError(f"a write was refused: {answer}")
        for point, number in changes.items():
            self.known[point] = number
            self.unsure[point].pop()
        return True

    def settle(self, stored):
        """Checks what is stored (id -> number) and takes it as known from now on."""
        for point in set(self.known) | set(self.unsure):
            allowed = [self.known.get(point, GONE), *self.unsure.get(point, [])]
            got = stored.get(point, GONE)
            if got not in allowed:
                raise AssertionError(f"point {point!r}: stored is write {got}, allowed were {allowed}")
            self.known[point] = got
        self.unsure.clear()

    def points(self):
        return {point for point, number in self.known.items() if number is not GONE}


class Chain:
    """A linked list in a collection: each node's payload names the one before, which was acknowledged first. A node without an answer may
    be there, but nothing is appended to it. Confined to one thread at a time."""

    def __init__(self):
        self.made = 0  # nodes, acknowledged or not
        self.nodes = []  # acknowledged, the first one first

    def append(self, api, collection):
        """False when the server is gone."""
        self.made += 1
        node = {"id": f"node{self.made}", "vector": [self.made] * DIMENSION, "payload": {"before": self.nodes[-1] if self.nodes else ""}}
        try:
            answer = api.upsert(collection, [node])
        except (http.client.HTTPException, OSError):
            return False
        if answer.status != 200:
            raise AssertionError(f"a node was refused: {answer}")
        self.nodes.append(node["id"])
        return True

    def check(self, before):
        """before: of every stored node, the one that it names."""
        for node, expected in zip(self.nodes, ["", *self.nodes]):
            if before.get(node) != expected:
                raise AssertionError(f"{node} was acknowledged after {expected!r}; stored is one after {before.get(node)!r}")
        for node, other in before.items():
            if other and other not in before:
                raise AssertionError(f"{node} names {other}, which is not there")


def patiently(call, seconds=60):
    """The answer of a call, which is repeated while the server says that it should be (503: an index is being made again)."""
    end = time.monotonic() + seconds
    while (answer := call()).status == 503 and time.monotonic() < end:
        time.sleep(0.02)
    return answer


def await_ready(test, api, name, seconds=60):
    """Until every shard serves: damage may be found, and mended, at any moment after a start."""
    end = time.monotonic() + seconds
    while True:
        shards = api.status(name).json["shards"]
        if all(shard["ready"] for shard in shards):
            return
        test.assertLess(time.monotonic(), end, shards)
        time.sleep(0.02)


def stored_points(test, api, name):
    """id -> number of everything in a collection, after checking that all ways of reading agree."""
    stored = {}
    for point in api.scroll_all(name, limit=10_000, includeVectors=True):
        number = point["payload"]["n"]
        test.assertEqual(point["payload"]["id"], point["id"])
        test.assertEqual(point["vector"], vector_of(point["id"], number), point)
        stored[point["id"]] = number
    status = api.status(name).json
    test.assertEqual(status["pointCount"], str(len(stored)), name)
    hits = patiently(lambda: api.search(name, [0] * DIMENSION, topK=16384, params={"exact": True}, includeMetadata=False))
    test.assertEqual(hits.status, 200, hits)
    await_ready(test, api, name)
    test.assertEqual(sorted(hit["id"] for hit in hits.json["results"]), sorted(stored), "an exact search and a scan differ")
    for point, number in list(stored.items())[:: max(1, len(stored) // 20)]:
        query = vector_of(point, number)
        hit = patiently(lambda: api.search(name, query, topK=1, filter={"must": [{"has_id": [point]}]})).json["results"][0]
        test.assertEqual((hit["id"], hit["score"], hit["payload"]["n"]), (point, 0, number))
    return stored
