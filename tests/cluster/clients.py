"""Clients of a cluster: those of the tests themselves, and those that keep the history of what they did."""
import collections
import http.client
import json
import random
import ssl
import threading
import time

from cluster_process import WAIT_SECONDS, Deadline
from register_check import Op

DIMENSION = 4
MAY_FAIL = (0, 429, 503, 504)  # no answer, RESOURCE_EXHAUSTED, UNAVAILABLE, DEADLINE_EXCEEDED: what clients repeat
TOO_FEW_WORKERS = (400, 9)  # FAILED_PRECONDITION


def vector_of(number):
    """The vector of the write with this number."""
    return [float(number % 1000 + 1)] * DIMENSION


def settled(call, seconds=WAIT_SECONDS):
    """Status and answer of a call, which is repeated while it is refused for the moment, as the client libraries do it."""
    deadline = Deadline(seconds, lambda: f"an answer; the last was {status}: {answer}")
    while True:
        status, answer = call()
        if status not in MAY_FAIL:
            return status, answer
        deadline.pause()


def patiently(call, seconds=WAIT_SECONDS):
    """The answer of a call that has to succeed, if not at once."""
    status, answer = settled(call, seconds)
    if status != 200:
        raise AssertionError(f"{status}: {answer}")
    return answer


class Api:
    """One keep-alive connection to one of the gateways, over TLS when told whose certificates to trust. Not for several threads.
    turn: which gateway is first, so that several clients use them all; the next one is asked when a connection is lost."""

    def __init__(self, addresses, timeout=60, ca=None, turn=0):
        self.addresses = addresses
        self.answers = collections.Counter()  # address -> how many came from it
        self.tls = ssl.create_default_context(cafile=ca) if ca else None
        self.credential = None  # sent with every call
        self.timeout = timeout
        self.connection = None
        self.address = None  # of the connection
        self.turn = turn

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    __del__ = close

    def _connect(self, address):
        if self.tls:
            return http.client.HTTPSConnection(address, timeout=self.timeout, context=self.tls)
        return http.client.HTTPConnection(address, timeout=self.timeout)

    def call(self, method, path, body=None, headers=None):
        """Status and decoded answer; status 0 when no answer came."""
        try:
            if self.connection is None:
                self.address = self.addresses[self.turn % len(self.addresses)]
                self.turn += 1
                self.connection = self._connect(self.address)
            headers = {"Content-Type": "application/json", **(headers or {})}
            if self.credential:
                headers["Authorization"] = f"Bearer {self.credential}"
            self.connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = self.connection.getresponse()
            decoded = json.loads(answer.read() or b"{}")
            self.answers[self.address] += 1
            return answer.status, decoded
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            return 0, {"message": f"{type(error).__name__}: {error}"}

    def create(self, name, shards, replicas, **more):
        return self.call("POST", "/v1/collections",
                         {"name": name, "dimension": DIMENSION, "shardCount": shards, "replicationFactor": replicas, **more})

    def make(self, name, shards, replicas, **more):
        """Creates a collection that has to be, once placement hears from enough workers."""
        deadline, repeated = Deadline(WAIT_SECONDS, lambda: f"collection {name}; the last answer was {status}: {answer}"), False
        while True:
            status, answer = self.create(name, shards, replicas, **more)
            if status == 200 or (repeated and status == 409):  # an earlier try made it and its answer was lost
                return
            if status not in MAY_FAIL and (status, answer.get("code")) != TOO_FEW_WORKERS:
                raise AssertionError(f"{status}: {answer}")
            repeated = True
            deadline.pause()

    def write(self, collection, point, number, **more):
        """An upsert that has to succeed; its answer."""
        return patiently(lambda: self.upsert(collection, point, number, **more))

    def upsert(self, collection, point, number, payload=None, **more):
        """payload: what it has beside the number."""
        body = {"points": [{"id": point, "vector": vector_of(number), "payload": {"number": number, **(payload or {})}}],
                "returnVersions": True, **more}
        return self.call("POST", f"/v1/collections/{collection}/points", body)

    def get(self, collection, point, consistency=None):
        query = f"?consistency={consistency}" if consistency else ""
        return self.call("GET", f"/v1/collections/{collection}/points/{point}{query}")

    def delete(self, collection, point):
        return self.call("DELETE", f"/v1/collections/{collection}/points/{point}")

    def status(self, collection):
        return patiently(lambda: self.call("GET", f"/v1/collections/{collection}/status"))

    def scan(self, collection, seconds=WAIT_SECONDS, **more):
        """All points, page by page, none of which takes longer than `seconds`."""
        after = ""
        while True:
            body = {"limit": 5_000, "afterId": after, **more}
            answer = patiently(lambda: self.call("POST", f"/v1/collections/{collection}/points/scroll", body), seconds)
            yield from answer["points"]
            after = answer["nextAfterId"]
            if not after:
                return

    def search(self, collection, vector, **more):
        return self.call("POST", f"/v1/collections/{collection}/points/search", {"vector": vector, **more})


class Numbers:
    """Gives out numbers that no other write has. Thread-safe."""

    def __init__(self):
        self.lock = threading.Lock()
        self.last = 0

    def next(self):
        with self.lock:
            self.last += 1
            return self.last


class Keys:
    """A few points in use at a time, each for a bounded number of operations. Thread-safe."""

    def __init__(self, live, operations, rng):
        self.lock = threading.Lock()
        self.rng = rng
        self.operations = operations
        self.made = live
        self.left = {f"k{i}": operations for i in range(live)}

    def take(self):
        with self.lock:
            key = self.rng.choice(list(self.left))
            self.left[key] -= 1
            if self.left[key] == 0:
                del self.left[key]
                self.left[f"k{self.made}"] = self.operations
                self.made += 1
            return key


class RegisterClient:
    """Writes, reads and deletes points, a step at a time, and keeps what came of it. One of a Crew."""

    def __init__(self, addresses, collection, keys, numbers, seed):
        self.api = Api(addresses, timeout=20, turn=seed)
        self.collection = collection
        self.keys = keys
        self.numbers = numbers
        self.rng = random.Random(seed)
        self.history = {}  # point -> operations
        self.acknowledged = []  # when writes were acknowledged
        self.last_vector = vector_of(0)  # of the last write; searches begin there
        self.errors = {}  # status -> how often
        self.unexpected = []

    def step(self):
        if self.rng.random() < 0.01:
            self.api.close()  # and on to the next gateway
        point = self.keys.take()
        kind = self.rng.choices(["write", "read", "search", "delete"], [45, 35, 15, 5])[0]
        op = Op("read" if kind == "search" else kind, time.monotonic(), None)
        if kind == "write":
            op.value = self.numbers.next()
            status, answer = self.api.upsert(self.collection, point, op.value)
        elif kind == "delete":
            status, answer = self.api.delete(self.collection, point)
        elif kind == "search":
            status, answer = self.api.search(self.collection, self.last_vector, topK=2, params={"exact": True}, includeVectors=True,
                                             filter={"must": [{"has_id": [point]}]})
        else:
            status, answer = self.api.get(self.collection, point)
        end = time.monotonic()
        if status == 200 or (kind == "read" and status == 404):
            op.end = end
            if kind == "search":
                self.note_search(op, point, answer)
            else:
                self.note(op, status, answer)
        else:
            self.errors[status] = self.errors.get(status, 0) + 1
            if status not in (0, 503, 504):  # UNAVAILABLE and DEADLINE_EXCEEDED alone are to be seen
                self.unexpected.append((status, answer))
            if op.kind == "read":
                return
        self.history.setdefault(point, []).append(op)

    def note_search(self, op, point, answer):
        """An exact search for one point is a read of it: it finds the value, whole and as far away as it is, or nothing."""
        hits = answer["results"]
        if [hit["id"] for hit in hits] not in ([], [point]) or answer.get("partial"):
            raise AssertionError(f"a search for {point} answered {answer}")
        for hit in hits:
            op.value = hit["payload"]["number"]
            if hit["vector"] != vector_of(op.value) or (hit["score"] == 0) != (hit["vector"] == self.last_vector):
                raise AssertionError(f"a search from {self.last_vector} found {hit}")

    def note(self, op, status, answer):
        if op.kind == "write":
            op.version = int(answer["versions"][0])
            self.last_vector = vector_of(op.value)
            self.acknowledged.append(op.end)
        elif op.kind == "delete":
            op.version = int(answer["version"])
        elif status == 200:
            op.value = answer["point"]["payload"]["number"]
            op.version = int(answer["point"]["version"])


def merged(clients):
    history = {}
    for client in clients:
        for point, operations in client.history.items():
            history.setdefault(point, []).extend(operations)
    return history
