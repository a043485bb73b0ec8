"""Writers that own their points, so that they know what may be stored: every acknowledged value is held against what is there.

Writes of one point come one after the other and answers carry versions, so after the last acknowledged one (a value, or a delete)
only a write without an answer may still have changed the point, under a higher version.
"""
import random

from clients import Api, DIMENSION, MAY_FAIL, Numbers, patiently, vector_of
from crew import Crew

GONE = None


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


class Owner:
    """Writes and deletes its points, a step at a time."""

    def __init__(self, addresses, collection, name, numbers, seed):
        self.api = Api(addresses, timeout=20, turn=seed)
        self.collection = collection
        self.names = [f"{name}-{i}" for i in range(150)]
        self.points = {}
        self.numbers = numbers
        self.rng = random.Random(seed)
        self.acknowledged = 0
        self.unexpected = []

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
        self.acknowledged += 1


class Owners(Crew):
    """Several of them, for as long as the `with` lasts; `faults` afterwards."""

    def __init__(self, cluster, collection, threads=4, seed=0):
        self.cluster = cluster
        self.collection = collection
        numbers = Numbers()
        self.owners = [Owner(cluster.http, collection, f"o{i}", numbers, seed * 100 + i) for i in range(threads)]
        super().__init__([owner.step for owner in self.owners])

    def count(self):
        return sum(owner.acknowledged for owner in self.owners)

    def await_more(self, writes, what="writes"):
        seen = self.count()
        self.cluster.until(what, lambda: self.failures or self.count() >= seen + writes)

    def faults(self):
        """What is stored and should not be, or the other way round, by a scan, an exact search and single reads."""
        found = [f"a write was refused with {status}: {answer}" for owner in self.owners for status, answer in owner.unexpected]
        api = Api(self.cluster.http)
        stored = scan(api, self.collection)
        owned = {name: point for owner in self.owners for name, point in owner.points.items()}
        found += [f"{name}: nobody wrote it" for name in set(stored) - set(owned)]
        for name, point in owned.items():
            fault = point.fault(stored.get(name))
            if fault:
                status, answer = api.get(self.collection, name)
                found.append(f"{name}: {fault}; a read says {status} {answer.get('point')}")
        searched = patiently(lambda: api.search(self.collection, [0.0] * DIMENSION, topK=16_384, params={"exact": True}))
        doubtful = {hit["id"] for hit in searched["results"]} ^ set(stored)
        # A write without an answer may have been applied in between.
        again = scan(api, self.collection) if doubtful else stored
        found += [f"{name}: an exact search and a scan disagree" for name in sorted(doubtful) if again.get(name) == stored.get(name)]
        return found


def scan(api, collection, **more):
    """id -> (value, version) of everything stored; vectors have to belong to their values. more: as Api.scan."""
    stored = {}
    for point in api.scan(collection, includeVectors=True, **more):
        value = point["payload"]["number"]
        if point["vector"] != vector_of(value):
            raise AssertionError(f"a mix of two writes: {point}")
        stored[point["id"]] = (value, int(point["version"]))
    return stored
