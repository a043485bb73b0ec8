#!/usr/bin/env python3
"""What a cluster costs that nobody uses: processor time of each node of a cluster on this machine, with many shards of three copies
each. Prints JSON, in percent of one core; `without shards` is the same cluster before they were made."""
import argparse
import json
import os
import time

from costs import Api, ClusterProcess, TICKS, create


def cpu_seconds(node):
    with open(f"/proc/{node['pid']}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(cluster, seconds):
    """Percent of a core, by node."""
    begin, before = time.monotonic(), {name: cpu_seconds(node) for name, node in cluster.nodes.items()}
    time.sleep(seconds)
    taken = time.monotonic() - begin
    return {name: round((cpu_seconds(node) - before[name]) / taken * 100, 2) for name, node in cluster.nodes.items()}


def workers_of(percents):
    return round(sum(percent for name, percent in percents.items() if name.startswith("worker")), 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", type=int, default=200)
    parser.add_argument("--shards", type=int, default=20, help="of each collection")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--settle", type=float, default=15, help="seconds until everything is quiet")
    options = parser.parse_args()
    cluster = ClusterProcess(workers=3, placement=3, gateways=1)
    api = Api(cluster.http, timeout=60)
    try:
        time.sleep(options.settle)
        empty = measure(cluster, options.seconds)
        for number in range(options.groups // options.shards):
            create(api, f"idle{number}", 3, options.shards)
        time.sleep(options.settle)
        full = measure(cluster, options.seconds)
    finally:
        cluster.stop()
        cluster.destroy()
    print(json.dumps({
        "groups": options.groups // options.shards * options.shards,
        "percent of a core": full,
        "all workers": workers_of(full),
        "all workers, without shards": workers_of(empty),
        "load": os.getloadavg()[0],
    }, indent=1))


if __name__ == "__main__":
    main()
