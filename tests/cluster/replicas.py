"""Whether all replicas hold the same: once nothing is written any more, each worker is asked for everything while the others are down."""
import time

from clients import patiently
from cluster_process import Deadline, InVain
from owners import scan

COPIES = 3
HEARD_SECONDS = 1  # within which a replica that was just started hears from its leader what is committed: five heartbeats
ALONE_SECONDS = 10  # that a worker alone has to answer; without an answer the others come back first


def differences(here, elsewhere):
    """What a scan of one replica found and another did not; both id -> (value, version)."""
    return [f"{point}: {here.get(point)} and {elsewhere.get(point)}" for point in sorted({*here, *elsewhere})
            if here.get(point) != elsewhere.get(point)]


def told_differences(cluster):
    """What placement found by itself: it compares the digests that the replicas tell it."""
    found = []
    for name in cluster.names("placement"):
        with open(cluster.nodes[name]["log"], encoding="utf-8", errors="replace") as log:
            found += [line for line in log if "hold different points" in line]
    return found


def free_the_rest(cluster, api, collection):
    """Drains all workers but as many as there are copies, so that each that is left has a replica of every shard; their names."""
    names = cluster.names("worker")
    holders, rest = names[:COPIES], names[COPIES:]
    for name in rest:
        patiently(lambda worker=name: api.call("POST", f"/v1/admin/workers/{cluster.nodes[worker]['id']}/drain", {"cancel": False}))
    wanted = sorted(str(cluster.nodes[name]["id"]) for name in holders)
    deadline = Deadline(60, f"all shards on workers {wanted}\n{cluster.logs()}")
    while True:
        shards = api.status(collection).get("shards", [])
        if shards and all(sorted(map(str, shard["replicas"])) == wanted for shard in shards):
            return holders
        deadline.pause()


def ask_alone(cluster, api, collection, name):
    """What one worker's replicas hold; None when they do not say, as when a copy is on its way there."""
    scan(api, collection)  # strong: every shard has a leader again
    time.sleep(HEARD_SECONDS)
    others = [other for other in cluster.names("worker") if other != name]
    for other in others:
        cluster.kill(other)
    try:
        return scan(api, collection, seconds=ALONE_SECONDS, consistency="EVENTUAL")
    except InVain:
        return None
    finally:
        for other in others:
            cluster.start(other)


def check_replicas(cluster, api, collection):
    """Raises AssertionError with the points that replicas disagree about. Nothing else writes to the collection or moves its shards."""
    holders = free_the_rest(cluster, api, collection)
    everything = scan(api, collection)
    for name in holders:
        deadline = Deadline(90, "")
        while True:
            held = ask_alone(cluster, api, collection, name)
            found = ["it does not answer"] if held is None else differences(everything, held)
            if not found:
                break
            # It may still have had to catch up when the others went; what stays is a fault.
            deadline.what = f"{name} to hold what its shards hold: {len(found)} differences, {found[:10]}\n{cluster.logs()}"
            deadline.pause()
    if told_differences(cluster):
        raise AssertionError(f"placement found differences: {told_differences(cluster)}")
    print(f"{len(holders)} replicas of each shard hold the same {len(everything)} points", flush=True)
