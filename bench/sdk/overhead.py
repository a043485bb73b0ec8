"""What the Python client costs per search, against the generated messages and a bare channel. Arguments: HOST:PORT of gRPC."""

import sys

import grpc
import numpy as np
from measure import ROUNDS, WARM_UP, report, timed

from vectron import VectronClient
from vectron import vectron_pb2 as pb


def main(host):
    random = np.random.default_rng(7)
    channel = grpc.insecure_channel(host)
    search = channel.unary_unary(
        "/vectron.v1.VectronService/Search",
        request_serializer=pb.SearchRequest.SerializeToString,
        response_deserializer=pb.SearchResponse.FromString,
    )
    with VectronClient(host) as client:
        for dimension in (128, 768):
            name = f"overhead-{dimension}"
            vectors = random.normal(size=(2_000, dimension)).astype(np.float32)
            client.create_collection(name, dimension)
            client.upsert_batch(name, ids=[str(i) for i in range(len(vectors))], vectors=vectors)

            def raw(vector, name=name):
                answer = search(pb.SearchRequest(collection=name, vector=vector, top_k=10), timeout=10)
                return [(result.id, result.score) for result in answer.results]

            def ours(vector, name=name):
                return [(result.id, result.score) for result in client.search(name, vector)]

            times = {"raw": [], "client": []}
            for round in range(WARM_UP + ROUNDS):
                vector = vectors[round % len(vectors)]
                calls = [("raw", raw), ("client", ours)]
                results = []
                for kind, call in calls if round % 2 else calls[::-1]:
                    seconds, found = timed(call, vector)
                    results.append(found)
                    if round >= WARM_UP:
                        times[kind].append(seconds)
                assert results[0] == results[1]
            report("python", dimension, times)
            client.delete_collection(name)


main(sys.argv[1])
