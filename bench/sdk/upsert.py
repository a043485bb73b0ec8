"""How fast the Python client writes an array, against `vectronctl import` of the same vectors, in turns.

Arguments: HOST:PORT of gRPC, and the program vectronctl. Each time into a new collection of a sparse graph: the less the server
has to do, the more the client counts.
"""

import os
import statistics
import subprocess
import sys
import tempfile

import numpy as np
from measure import timed

from vectron import VectronClient

COUNT, DIMENSION, TURNS = 60_000, 784, 3


def main(host, vectronctl):
    vectors = np.random.default_rng(7).random((COUNT, DIMENSION), dtype=np.float32)
    ids = [str(i) for i in range(COUNT)]
    times = {"import": [], "client": []}
    with tempfile.TemporaryDirectory() as folder, VectronClient(host, timeout_seconds=600) as client:
        file = os.path.join(folder, "vectors.npy")
        np.save(file, vectors)

        def by_import():
            state = os.path.join(folder, "state")
            command = [vectronctl, "import", "--host", host, "--resume", state, "upsert-speed", file]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def by_client():
            client.upsert_batch("upsert-speed", ids=ids, vectors=vectors, timeout=600)

        for turn in range(TURNS):
            calls = [("import", by_import), ("client", by_client)]
            for kind, call in calls if turn % 2 else calls[::-1]:
                client.create_collection("upsert-speed", DIMENSION, hnsw_m=4, hnsw_ef_construct=8)
                seconds, _ = timed(call)
                times[kind].append(seconds)
                assert client.get_collection_status("upsert-speed").point_count == COUNT
                client.delete_collection("upsert-speed")
                print(f"{kind}: {COUNT / seconds:,.0f} points/s", flush=True)
    ratio = statistics.median(times["import"]) / statistics.median(times["client"])
    print(f"python writes at {100 * ratio:.0f} % of vectronctl import")


main(*sys.argv[1:])
