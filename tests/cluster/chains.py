"""Linked lists in a collection: each node's payload names the one before, which was acknowledged first. Whatever ends in between, a list
can be walked from its last acknowledged node to its first one, across shards."""
from clients import Api, MAY_FAIL
from crew import Crew

START = ""  # what is before the first node


class Chain:
    """Appends nodes to one list, a step at a time. A node without an answer may be there, but nothing is appended to it."""

    def __init__(self, addresses, collection, name, turn):
        self.api = Api(addresses, timeout=20, turn=turn)
        self.collection = collection
        self.name = name
        self.made = 0  # nodes, acknowledged or not
        self.nodes = []  # acknowledged, the first one first
        self.unexpected = []

    def step(self):
        self.made += 1
        node = f"{self.name}-{self.made}"
        before = self.nodes[-1] if self.nodes else START
        status, answer = self.api.upsert(self.collection, node, self.made, payload={"before": before})
        if status == 200:
            self.nodes.append(node)
        elif status not in MAY_FAIL:
            self.unexpected.append((status, answer))


def walk_faults(nodes, before):
    """Why a walk from the last of the acknowledged nodes does not meet all of them, as words; none when it does. before: of every stored
    node, the one that it names."""
    expected = [START, *nodes]
    for at in range(len(nodes), 0, -1):
        node = expected[at]
        if node not in before:
            return [f"{node}, node {at} of {len(nodes)}, is not there"]
        if before[node] != expected[at - 1]:
            return [f"{node}, node {at} of {len(nodes)}, names {before[node]!r} and not {expected[at - 1]!r}"]
    return []


def dangling(before):
    """Stored nodes, acknowledged or not, that name one that is not there."""
    return [f"{node} names {other!r}, which is not there" for node, other in sorted(before.items())
            if other != START and other not in before]


class Chains(Crew):
    """Several of them, for as long as the `with` lasts; `faults` afterwards."""

    def __init__(self, cluster, collection, lists=2):
        self.cluster = cluster
        self.collection = collection
        self.chains = [Chain(cluster.http, collection, f"list{i}", i) for i in range(lists)]
        super().__init__([chain.step for chain in self.chains])

    def count(self):
        return sum(len(chain.nodes) for chain in self.chains)

    def await_more(self, nodes, what="nodes"):
        seen = self.count()
        self.cluster.until(what, lambda: self.failures or self.count() >= seen + nodes)

    def faults(self):
        api = Api(self.cluster.http)
        before = {point["id"]: point["payload"]["before"] for point in api.scan(self.collection)}
        found = [f"a node was refused with {status}: {answer}" for chain in self.chains for status, answer in chain.unexpected]
        for chain in self.chains:
            found += walk_faults(chain.nodes, before)
        return found + dangling(before)
