"""Writers that own their points, so that they know what may be stored: every acknowledged value is held against what is there.

Writes of one point come one after the other and answers carry versions, so after the last acknowledged one (a value, or a delete)
only a write without an answer may still have changed the point, under a higher version.
"""
import random
import threading
import time

from clients import Api, DIMENSION, Numbers, vector_of
from cluster_process import Deadline

GONE = None
MAY_FAIL = (0, 429, 503, 504)  # no answer, RESOURCE_EXHAUSTED, UNAVAILABLE, DEADLINE_EXCEEDED


class Point:
    def __init__(self):
        self.version = 0  # of the last acknowledged write
        self.value = GONE
        self.unsure = []  # values (or GONE) of writes without an answer

    def fault(self, stored):
        """What is wrong with the stored (value, version), or None when nothing is stored; "" when it is right."""
        if stored is None:
            ok = self.value is GONE or GONE in self.unsure
            return "" if ok else f"value {self.value}, acknowledged with version {self.version}, is not there"
        value, version = stored
        if version < self.version:
            return f"value {value} with version {version} is older than {self.value}, acknowledged with version {self.version}"
        if version == self.version:
            return "" if value == self.value else f"version {version} was acknowledged as {self.value}, there is {value}"
        return "" if value in self.unsure else f"value {value} with version {version} was never written after version {self.version}"


class Owner(threading.Thread):
    def __init__(self, addresses, collection, name, numbers, stop, seed):
        super().__init__()
        self.api = Api(addresses)
        self.collection = collection
        self.names = [f"{name}-{i}" for i in range(150)]
        self.points = {}
        self.numbers = numbers
        self.stop_event = stop
        self.rng = random.Random(seed)
        self.acknowledged = []  # moments
        self.unexpected = []
        self.failure = None

    def run(self):
        try:
            while not self.stop_event.is_set():
                self.step()
        except Exception as error:  # shown by whoever joins
            self.failure = error

    def step(self):
        name = self.rng.choice(self.names)
        point = self.points.setdefault(name, Point())
        value = self.numbers.next() if self.rng.random() < 0.8 else GONE
        if value is GONE:
            status, answer = self.api.delete(self.collection, name)
        else:
            status, answer = self.api.upsert(self.collection, name, value)
        if status != 200:
            point.unsure.append(value)
            if status not in MAY_FAIL:
                self.unexpected.append((status, answer))
            return
        version = int(answer["version"] if value is GONE else answer["versions"][0])
        if version <= point.version:
            raise AssertionError(f"{name}: version {version} after {point.version}")
        point.version, point.value = version, value
        self.acknowledged.append(time.monotonic())


class Owners:
    """Several of them, for as long as the `with` lasts; `faults` afterwards."""

    def __init__(self, addresses, collection, threads=4, seed=0):
        self.addresses = addresses
        self.collection = collection
        self.stop = threading.Event()
        numbers = Numbers()
        self.threads = [Owner(addresses, collection, f"o{i}", numbers, self.stop, seed * 100 + i) for i in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        for thread in self.threads:
            if thread.failure is not None:
                raise thread.failure

    def count(self):
        return sum(len(thread.acknowledged) for thread in self.threads)

    def await_more(self, writes, seconds=60, what="writes"):
        seen = self.count()
        deadline = Deadline(seconds, what)
        while self.count() < seen + writes:
            deadline.pause()

    def faults(self):
        """What is stored and should not be, or the other way round, by a scan, an exact search and single reads."""
        found = [f"a write was refused with {status}: {answer}" for thread in self.threads for status, answer in thread.unexpected]
        api = Api(self.addresses)
        stored = scan(api, self.collection)
        owned = {name: point for thread in self.threads for name, point in thread.points.items()}
        found += [f"{name}: nobody wrote it" for name in set(stored) - set(owned)]
        for name, point in owned.items():
            fault = point.fault(stored.get(name))
            if fault:
                status, answer = api.get(self.collection, name)
                found.append(f"{name}: {fault}; a read says {status} {answer.get('point')}")
        searched = patiently(lambda: api.search(self.collection, [0.0] * DIMENSION, topK=16_384, params={"exact": True}))
        ids = {hit["id"] for hit in searched["results"]}
        found += [f"{name}: an exact search and a scan disagree" for name in sorted(ids ^ set(stored))]
        return found


def patiently(call, seconds=60):
    """The answer of a call, which is repeated while it is refused for the moment."""
    deadline = Deadline(seconds, "an answer")
    while True:
        status, answer = call()
        if status == 200:
            return answer
        if status not in MAY_FAIL:
            raise AssertionError(f"{status}: {answer}")
        deadline.pause()


def scan(api, collection, seconds=60, **more):
    """id -> (value, version) of everything stored; vectors have to belong to their values. No page takes longer than `seconds`."""
    stored, after = {}, ""
    while True:
        body = {"limit": 5_000, "afterId": after, "includeVectors": True, **more}
        answer = patiently(lambda page=body: api.call("POST", f"/v1/collections/{collection}/points/scroll", page), seconds)
        for point in answer["points"]:
            value = point["payload"]["number"]
            if point["vector"] != vector_of(value):
                raise AssertionError(f"a mix of two writes: {point}")
            stored[point["id"]] = (value, int(point["version"]))
        after = answer["nextAfterId"]
        if not after:
            return stored
