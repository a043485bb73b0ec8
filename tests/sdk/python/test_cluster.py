"""The client against three workers, one of which is killed under load."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import vectron_server

from vectron import Point, RetryPolicy, VectronClient

TOOL = os.path.join(os.path.dirname(__file__), "..", "..", "..", "tools", "cluster.py")


@pytest.fixture
def cluster(tmp_path):
    place = ["--data", str(tmp_path / "cluster"), "--json", "--binary", vectron_server.BINARY]
    try:
        done = subprocess.run(
            [sys.executable, "-B", TOOL, "up", "--no-demo", "--threads", "1", *place], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout)
    finally:
        subprocess.run([sys.executable, "-B", TOOL, "down", *place], check=True, stdout=subprocess.DEVNULL)


def kill_a_leader(cluster, client):
    """That of the first shard, which may be electing one just now."""
    ends = time.monotonic() + 60
    while not (leader := client.get_collection_status("c").shards[0].leader_id):
        assert time.monotonic() < ends
        time.sleep(0.1)
    os.kill(next(node["pid"] for node in cluster["nodes"] if node.get("id") == leader), signal.SIGKILL)


def test_a_killed_worker_loses_nothing_and_writes_apply_once(cluster):
    """New points are written one by one, with insert_only: a write that applied twice would be refused. Searches go on."""
    stop = threading.Event()
    found, failed = [], []

    def search(client):
        while not stop.is_set():
            try:
                found.append(len(client.search("c", [0, 1], 10, exact=True)))
            except Exception as error:
                failed.append(error)

    retry = RetryPolicy(max_attempts=1_000)
    with VectronClient(cluster["grpc"][0], retry=retry, timeout_seconds=90) as client:
        client.create_collection("c", 2, shard_count=3, replication_factor=3)
        searcher = threading.Thread(target=search, args=(client,))
        searcher.start()
        try:
            for n in range(150):
                if n == 50:
                    before = len(found)
                    kill_a_leader(cluster, client)
                assert client.upsert("c", [Point(f"p{n}", [n, 1], {"n": n})], insert_only=True, request_id=f"r{n}") == 1
        finally:
            stop.set()
            searcher.join()
        assert not failed and len(found) > before
        assert {point.id: point.payload["n"] for point in client.scroll("c")} == {f"p{n}": n for n in range(150)}
        assert client.get_collection_status("c").point_count == 150
        versions = [client.get("c", f"p{n}").version for n in range(150)]
        for n in range(150):  # every write again, late, by its name
            client.upsert("c", [Point(f"p{n}", [n, 1], {"n": n})], insert_only=True, request_id=f"r{n}")
        assert [client.get("c", f"p{n}").version for n in range(150)] == versions
