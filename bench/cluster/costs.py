#!/usr/bin/env python3
"""What replication and strong reads cost: processor time of all servers of a cluster on this machine, in turns.

Ingest: the same points into a collection with one copy and into one with three. Searches: the same with STRONG and with EVENTUAL
consistency by the eight clients of `vectronctl bench`, each with one request under way; gets of single points likewise, by eight processes of this script. Prints JSON; each figure is the median of the rounds, each ratio the median of the rounds' ratios.
"""
import argparse
import http.client
import json
import multiprocessing
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "cluster"))
from clients import Api  # noqa: E402  (found by the path above)
from cluster_process import BINARY, ClusterProcess  # noqa: E402

CTL = BINARY + "ctl"
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


def create(api, name, copies, shards=2):
    expect(api.call("POST", "/v1/collections", {"name": name, "dimension": DIMENSION, "shardCount": shards, "replicationFactor": copies}))


def ingest(cluster, api, name, copies, batches):
    create(api, name, copies)
    before = cpu_seconds(cluster)
    for number, batch in enumerate(batches):
        points = [{"id": f"p{number * BATCH + i}", "vector": vector} for i, vector in enumerate(batch)]
        expect(api.call("POST", f"/v1/collections/{name}/points", {"points": points}))
    time.sleep(SETTLE_SECONDS)
    return (cpu_seconds(cluster) - before) / (len(batches) * BATCH)


def get_points(address, name, consistency, seconds, count, answers):
    """One client, in a process of its own."""
    rng = random.Random(os.getpid())
    connection = http.client.HTTPConnection(address)
    answered, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        connection.request("GET", f"/v1/collections/{name}/points/p{rng.randrange(count)}?consistency={consistency}")
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            answers.put(f"{response.status}: {body}")
            return
        answered += 1
    answers.put(answered)


def get(cluster, name, count, consistency, seconds):
    """Processor seconds a get, and gets a second."""
    answers = multiprocessing.Queue()
    address = cluster.http[0].split("//")[-1]
    clients = [multiprocessing.Process(target=get_points, args=(address, name, consistency, seconds, count, answers)) for _ in range(CLIENTS)]
    before = cpu_seconds(cluster)
    for client in clients:
        client.start()
    answered = [answers.get(timeout=600) for _ in clients]
    for client in clients:
        client.join()
    failed = [answer for answer in answered if isinstance(answer, str)]
    if failed:
        raise SystemExit(failed[0])
    return (cpu_seconds(cluster) - before) / sum(answered), sum(answered) / seconds


def read(cluster, name, queries, consistency, seconds):
    """Processor seconds a search, and searches a second."""
    before = cpu_seconds(cluster)
    out = subprocess.run([CTL, "--json", "bench", name, "--queries", queries, "--clients", str(CLIENTS), "--seconds", str(seconds),
                          "--protocol", "http", "--http", cluster.http[0], "--consistency", consistency],
                         check=True, stdout=subprocess.PIPE, timeout=600)
    result = json.loads(out.stdout)
    if result["errors"]:
        raise SystemExit(f"{result['errors']} searches failed")
    answers = result["queries"] + result["qps"] * result["seconds"]  # each query once, then as many as there is time for
    return (cpu_seconds(cluster) - before) / answers, result["qps"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=5, help="of searches of one kind, in each round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rng = random.Random(1)
    batches = [vectors(rng, BATCH) for _ in range(options.points // BATCH)]
    queries = tempfile.NamedTemporaryFile(suffix=".fvecs")
    for vector in vectors(rng, options.queries):
        queries.write(struct.pack(f"<i{DIMENSION}f", DIMENSION, *vector))
    queries.flush()
    cluster = ClusterProcess(workers=3, placement=3, gateways=1)
    api = Api(cluster.http, timeout=60)
    costs = {"ingest, 1 copy": [], "ingest, 3 copies": [], "search, strong": [], "search, eventual": [], "get, strong": [], "get, eventual": []}
    rates = {name: [] for name in costs if not name.startswith("ingest")}
    try:
        for turn in range(options.rounds):
            costs["ingest, 1 copy"].append(ingest(cluster, api, f"one{turn}", 1, batches))
            costs["ingest, 3 copies"].append(ingest(cluster, api, f"three{turn}", 3, batches))
            for name, rate in rates.items():
                what, kind = name.split(", ")
                if what == "get":
                    cost, qps = get(cluster, f"three{turn}", options.points, kind.upper(), options.seconds)
                else:
                    cost, qps = read(cluster, f"three{turn}", queries.name, kind.upper(), options.seconds)
                costs[name].append(cost)
                rate.append(qps)
    finally:
        cluster.stop()
        cluster.destroy()

    def ratio(above, below):
        return round(statistics.median(a / b for a, b in zip(costs[above], costs[below])), 2)

    print(json.dumps({
        "microseconds": {name: round(statistics.median(values) * 1e6, 1) for name, values in costs.items()},
        "ingest, three copies to one": ratio("ingest, 3 copies", "ingest, 1 copy"),
        "strong search to eventual": ratio("search, strong", "search, eventual"),
        "strong get to eventual": ratio("get, strong", "get, eventual"),
        "answers a second": {name: round(statistics.median(values)) for name, values in rates.items()},
        "load": os.getloadavg()[0],
    }, indent=1))


if __name__ == "__main__":
    main()
