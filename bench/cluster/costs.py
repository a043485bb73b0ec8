#!/usr/bin/env python3
"""What replication and strong reads cost: processor time of all servers of a cluster on this machine, in turns.

Ingest: the same points into a collection with one copy and into one with three. Reads: the same searches with STRONG and with
EVENTUAL consistency by eight clients. Prints JSON; each figure is the median of the rounds, each ratio the median of the rounds' ratios.
"""
import argparse
import json
import os
import random
import statistics
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "cluster"))
from clients import Api  # noqa: E402  (found by the path above)
from cluster_process import ClusterProcess  # noqa: E402

DIMENSION = 128
BATCH = 250
CLIENTS = 8
SETTLE_SECONDS = 3  # in which followers and index builders end what they have
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(cluster):
    """Of all processes of the cluster so far."""
    total = 0
    for node in cluster.nodes.values():
        with open(f"/proc/{node['pid']}/stat", encoding="utf-8") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def expect(answer):
    status, body = answer
    if status != 200:
        raise SystemExit(f"{status}: {body}")
    return body


def vectors(rng, count):
    return [[rng.gauss(0, 1) for _ in range(DIMENSION)] for _ in range(count)]


def create(api, name, copies):
    expect(api.call("POST", "/v1/collections", {"name": name, "dimension": DIMENSION, "shardCount": 2, "replicationFactor": copies}))


def ingest(cluster, api, name, copies, batches):
    create(api, name, copies)
    before = cpu_seconds(cluster)
    for number, batch in enumerate(batches):
        points = [{"id": f"p{number * BATCH + i}", "vector": vector} for i, vector in enumerate(batch)]
        expect(api.call("POST", f"/v1/collections/{name}/points", {"points": points}))
    time.sleep(SETTLE_SECONDS)
    return (cpu_seconds(cluster) - before) / (len(batches) * BATCH)


def read(cluster, name, queries, consistency):
    """Processor seconds a search."""
    def client(part):
        api = Api(cluster.http)
        for query in part:
            expect(api.search(name, query, topK=10, consistency=consistency))

    before = cpu_seconds(cluster)
    threads = [threading.Thread(target=client, args=(queries[i::CLIENTS],)) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (cpu_seconds(cluster) - before) / len(queries)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--searches", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rng = random.Random(1)
    batches = [vectors(rng, BATCH) for _ in range(options.points // BATCH)]
    queries = vectors(rng, options.searches)
    cluster = ClusterProcess(workers=3, placement=3, gateways=1)
    api = Api(cluster.http, timeout=60)
    costs = {"ingest, 1 copy": [], "ingest, 3 copies": [], "strong": [], "eventual": []}
    try:
        for turn in range(options.rounds):
            costs["ingest, 1 copy"].append(ingest(cluster, api, f"one{turn}", 1, batches))
            costs["ingest, 3 copies"].append(ingest(cluster, api, f"three{turn}", 3, batches))
            for kind in ("STRONG", "EVENTUAL"):
                costs[kind.lower()].append(read(cluster, f"three{turn}", queries, kind))
    finally:
        cluster.stop()
        cluster.destroy()

    def ratio(above, below):
        return round(statistics.median(a / b for a, b in zip(costs[above], costs[below])), 2)

    print(json.dumps({
        "microseconds": {name: round(statistics.median(values) * 1e6, 1) for name, values in costs.items()},
        "ingest, three copies to one": ratio("ingest, 3 copies", "ingest, 1 copy"),
        "strong to eventual search": ratio("strong", "eventual"),
        "load": os.getloadavg()[0],
    }, indent=1))


if __name__ == "__main__":
    main()
