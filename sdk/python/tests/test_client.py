"""The clients against a scripted gRPC server: what is repeated, what is sent, what is raised."""

import asyncio
import inspect
import threading
from concurrent import futures

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2

import vectron
from vectron import AsyncVectronClient, Point, RetryPolicy, VectronClient, VectronClientPool, wire
from vectron import vectron_pb2 as pb
from vectron.admin import Admin, AsyncAdmin

FAST = RetryPolicy(initial_backoff_seconds=0.001, max_backoff_seconds=0.002)


class Script(grpc.GenericRpcHandler):
    """Answers calls from a list: bytes are an answer, a list a stream, an Abort an error; the last entry repeats."""

    def __init__(self):
        self.answers = {}
        self.seen = []  # (method, request bytes, metadata)
        self.address = "127.0.0.1:0"

    def start(self):
        self.server = grpc.server(futures.ThreadPoolExecutor(8))
        self.server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self.server.add_insecure_port(self.address)}"
        self.server.start()

    def restart(self):
        """Ends the calls there are as a server does that is killed."""
        self.server.stop(None).wait()
        self.start()

    def service(self, details):
        method = details.method.rsplit("/", 1)[1]

        def next_answer(request, context):
            self.seen.append((method, request, dict(context.invocation_metadata())))
            left = self.answers[method]
            return left.pop(0) if len(left) > 1 else left[0]

        def unary(request, context):
            answer = next_answer(request, context)
            return answer.apply(context) if isinstance(answer, Abort) else answer

        def stream(request, context):
            for answer in next_answer(request, context):
                if answer is STAYS:
                    gone = threading.Event()
                    if context.add_callback(gone.set):
                        gone.wait()
                    return
                if isinstance(answer, Abort):
                    answer.apply(context)
                yield answer

        if method == "SearchStream":
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)


class Abort:
    def __init__(self, code, message="scripted", retry_after_ms=None):
        self.code, self.message, self.retry_after_ms = code, message, retry_after_ms

    def apply(self, context):
        if self.retry_after_ms is not None:
            duration = duration_pb2.Duration(nanos=self.retry_after_ms * 1_000_000).SerializeToString()
            info = any_pb2.Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=wire.bytes_field(1, duration))
            context.set_trailing_metadata((("grpc-status-details-bin", wire.bytes_field(3, info.SerializeToString())),))
        context.abort(self.code, self.message)


UNAVAILABLE = Abort(grpc.StatusCode.UNAVAILABLE)
STAYS = object()  # at the end of a stream: the call stays until the connection is gone


@pytest.fixture
def script():
    handler = Script()
    handler.start()
    yield handler
    handler.server.stop(None).wait()


def answer(*ids, last=False):
    results = [pb.SearchResult(id=id, score=i) for i, id in enumerate(ids)]
    return pb.SearchResponse(results=results, last=last, query_id="q").SerializeToString()


def upserted(count):
    return pb.UpsertResponse(upserted=count).SerializeToString()


def requests(script, kind):
    return [kind.FromString(request) for _, request, _ in script.seen]


def test_a_read_is_repeated_until_it_succeeds(script):
    script.answers["Search"] = [UNAVAILABLE, UNAVAILABLE, answer("a")]
    with VectronClient(script.address, retry=FAST) as client:
        assert client.search("c", [1.0]).ids == ["a"]
    assert len(script.seen) == 3


def test_a_repeated_upsert_carries_the_same_request_id(script):
    script.answers["Upsert"] = [UNAVAILABLE, upserted(1)]
    with VectronClient(script.address, retry=FAST) as client:
        assert client.upsert("c", [Point("a", [1.0])]) == 1
    ids = {request.request_id for request in requests(script, pb.UpsertRequest)}
    assert len(script.seen) == 2 and len(ids) == 1 and ids != {""}


def test_a_repeated_delete_carries_the_same_request_id(script):
    script.answers["Delete"] = [UNAVAILABLE, b""]
    with VectronClient(script.address, retry=FAST) as client:
        client.delete("c", "a")
    assert len({request.request_id for request in requests(script, pb.DeleteRequest)}) == 1


def test_creating_is_not_repeated_because_it_may_have_happened(script):
    script.answers["CreateCollection"] = [UNAVAILABLE, b""]
    with VectronClient(script.address, retry=FAST) as client, pytest.raises(vectron.UnavailableError):
        client.create_collection("c", 3)
    assert len(script.seen) == 1


def test_attempts_are_bounded(script):
    script.answers["Search"] = [UNAVAILABLE]
    policy = RetryPolicy(max_attempts=3, initial_backoff_seconds=0.001)
    with VectronClient(script.address, retry=policy) as client, pytest.raises(vectron.UnavailableError, match="scripted"):
        client.search("c", [1.0])
    assert len(script.seen) == 3


def test_an_answer_that_is_too_large_is_asked_for_once(script):
    script.answers["Search"] = [answer("a" * 10_000)]
    script.answers["Upsert"] = [Abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 8)")]
    with VectronClient(script.address, retry=FAST, max_message_bytes=5_000) as client:
        with pytest.raises(vectron.ResourceExhaustedError, match="larger than.*max_message_bytes"):
            client.search("c", [1.0])
        with pytest.raises(vectron.ResourceExhaustedError, match="larger than.*smaller batches"):
            client.upsert("c", [Point("a", [1.0])])
    assert [method for method, _, _ in script.seen] == ["Search", "Upsert"]


def test_the_hint_when_to_come_back_reaches_the_error(script):
    script.answers["Search"] = [Abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", retry_after_ms=250)]
    with VectronClient(script.address, retry=vectron.NO_RETRY) as client:
        with pytest.raises(vectron.ResourceExhaustedError) as caught:
            client.search("c", [1.0])
    assert caught.value.retry_after_seconds == 0.25


def test_a_stream_that_breaks_is_asked_again(script):
    script.answers["SearchStream"] = [[answer("b"), UNAVAILABLE], [answer("b"), answer("a", "b", last=True)]]
    with VectronClient(script.address, retry=FAST) as client:
        seen = [(results.ids, results.last) for results in client.search_stream("c", [1.0])]
    assert seen == [(["b"], False), (["b"], False), (["a", "b"], True)]


def test_a_stream_whose_server_is_restarted_is_asked_again(script):
    script.answers["SearchStream"] = [[answer("b"), STAYS], [answer("b"), answer("a", "b", last=True)]]
    policy = RetryPolicy(max_attempts=1_000, initial_backoff_seconds=0.01, max_backoff_seconds=0.01)
    with VectronClient(script.address, retry=policy) as client:
        stream = client.search_stream("c", [1.0])
        assert next(stream).ids == ["b"]
        script.restart()
        assert [(results.ids, results.last) for results in stream] == [(["b"], False), (["a", "b"], True)]
    assert len(script.seen) == 2


def test_a_stream_may_be_left_early(script):
    script.answers["SearchStream"] = [[answer("a"), answer("a", last=True)]]
    with VectronClient(script.address) as client:
        for results in client.search_stream("c", [1.0]):
            assert results.ids == ["a"]
            break
        assert next(iter(client.search_stream("c", [1.0]))).ids == ["a"]


def test_the_credential_is_sent(script):
    script.answers["ListCollections"] = [b""]
    with VectronClient(script.address, "vkey-1") as client:
        client.list_collections()
    with VectronClient(script.address, token=lambda: "renewed") as client:
        client.list_collections()
    assert [metadata.get("authorization") for _, _, metadata in script.seen] == ["Bearer vkey-1", "Bearer renewed"]


def test_the_tenant_is_named(script):
    script.answers["ListCollections"] = [b""]
    for tenant in ("user-1", None):
        with VectronClient(script.address, "vkey-1", tenant=tenant) as client:
            client.list_collections()
    assert [metadata.get("x-vectron-tenant") for _, _, metadata in script.seen] == ["user-1", None]


def test_login_is_used_from_then_on(script):
    from vectron import auth_pb2 as auth

    script.answers["Login"] = [auth.LoginResponse(jwt_token="jwt").SerializeToString()]
    script.answers["ListCollections"] = [b""]
    with VectronClient(script.address) as client:
        client.login("a@b.c", "Passw0rd!")
        client.list_collections()
    assert script.seen[-1][2]["authorization"] == "Bearer jwt"


def test_a_batch_reports_what_failed_and_writes_the_rest(script):
    bad = Abort(grpc.StatusCode.INVALID_ARGUMENT, "no such dimension")
    script.answers["Upsert"] = [upserted(2), bad, upserted(2)]
    steps = []
    with VectronClient(script.address, retry=FAST) as client:
        report = client.upsert_batch(
            "c",
            [Point(f"p{i}", [1.0]) for i in range(6)],
            batch_size=2,
            concurrency=1,
            progress=steps.append,
            raise_on_failure=False,
        )
    assert int(report) == 4
    assert [(failure.start, failure.count, failure.ids) for failure in report.failures] == [(2, 2, ["p2", "p3"])]
    assert [step.points_done for step in steps] == [2, 4, 6] and steps[-1].points_failed == 2


def test_a_split_upsert_that_fails_says_what_is_written(script, monkeypatch):
    monkeypatch.setattr("vectron.batch.MAX_UPSERT_POINTS", 2)
    script.answers["Upsert"] = [upserted(2), Abort(grpc.StatusCode.INVALID_ARGUMENT, "bad")]
    with VectronClient(script.address) as client, pytest.raises(vectron.InvalidArgumentError, match="number 2 on.*2 before"):
        client.upsert("c", [Point(f"p{i}", [1.0]) for i in range(4)])


def test_options_are_checked():
    for host, words in (("", "empty"), ("http://x:1", "scheme")):
        with pytest.raises(vectron.InvalidArgumentError, match=words):
            VectronClient(host)
    with pytest.raises(vectron.InvalidArgumentError, match="timeout_seconds"):
        VectronClient("x:1", timeout=3)
    with pytest.raises(vectron.InvalidArgumentError, match="gzip"):
        VectronClient("x:1", compression="lz4")
    with VectronClient("x:1") as client:
        with pytest.raises(vectron.InvalidArgumentError, match="no option fliter"):
            client.search("c", [1.0], fliter=None)
        with pytest.raises(vectron.InvalidArgumentError, match="one of strong, bounded, eventual"):
            client.search("c", [1.0], consistency="weak")


@pytest.mark.parametrize("kind", [VectronClient, AsyncVectronClient, Admin, AsyncAdmin])
def test_every_call_takes_a_time_of_its_own(kind):
    calls = {name: call for name, call in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}
    calls.pop("close", None)
    for name, call in calls.items():
        given = inspect.signature(call).parameters
        assert "timeout" in given or "options" in given, name
    assert len(calls) > 10


def test_a_closed_client_says_so():
    client = VectronClient("127.0.0.1:1")
    client.close()
    client.close()
    with pytest.raises(vectron.VectronError, match="closed"):
        client.list_collections()


def test_a_pool_uses_its_connections_in_turn(script):
    script.answers["ListCollections"] = [b""]
    with VectronClientPool(script.address, size=3) as pool:
        clients = [pool.get() for _ in range(6)]
        assert len(set(map(id, clients))) == 3 and clients[:3] == clients[3:]
        clients[0].list_collections()


def test_reranking_is_asked_for_and_told(script):
    told = pb.SearchResponse(rerank=pb.RerankInfo(strategy="none", reason="no reranker", time_us=7)).SerializeToString()
    script.answers["Search"] = [told, b""]
    script.answers["CreateCollection"] = [b""]
    wanted = {"rerank": "rule", "rerank_candidates": 9, "rerank_budget_ms": 40, "rerank_explore": False}
    with VectronClient(script.address) as client:
        about = client.search("c", [1.0], query="q", **wanted).rerank
        assert (about.strategy, about.reason, about.explored, about.time_us) == ("none", "no reranker", False, 7)
        assert client.search("c", [1.0], rerank_candidates=9).rerank is None
        client.create_collection("c", 1, **wanted)
    searches = [pb.SearchRequest.FromString(request) for method, request, _ in script.seen if method == "Search"]
    whole = pb.RerankOptions(strategy="rule", candidates=9, budget_ms=40, explore=False)
    assert [search.rerank for search in searches] == [whole, pb.RerankOptions(candidates=9)]
    assert pb.CreateCollectionRequest.FromString(script.seen[-1][1]).rerank == whole


def test_reads_say_how_fresh(script):
    script.answers["ScrollPoints"] = [b""]
    script.answers["Get"] = [pb.GetResponse(point=pb.Point(id="a")).SerializeToString()]
    with VectronClient(script.address) as client:
        assert list(client.scroll("c", consistency="bounded", max_staleness_ms=5)) == []
        client.get("c", "a", consistency="bounded", max_staleness_ms=5)
    for kind, (_, request, _) in zip((pb.ScrollRequest, pb.GetRequest), script.seen):
        assert (kind.FromString(request).consistency, kind.FromString(request).max_staleness_ms) == (pb.BOUNDED, 5)


def test_versions_of_all_parts_come_in_order(script, monkeypatch):
    monkeypatch.setattr("vectron.batch.MAX_UPSERT_POINTS", 2)
    script.answers["Upsert"] = [pb.UpsertResponse(upserted=2, versions=v).SerializeToString() for v in ([5, 6], [7, 7], [8])]
    with VectronClient(script.address) as client:
        assert client.upsert_versions("c", [Point(f"p{i}", [1.0]) for i in range(5)]) == [5, 6, 7, 7, 8]
    assert all(request.return_versions for request in requests(script, pb.UpsertRequest))


async def test_asyncio_repeats_and_streams_alike(script):
    script.answers["Search"] = [UNAVAILABLE, answer("a")]
    script.answers["SearchStream"] = [[answer("b"), UNAVAILABLE], [answer("a", last=True)]]
    script.answers["Upsert"] = [UNAVAILABLE, upserted(1)]
    async with AsyncVectronClient(script.address, retry=FAST) as client:
        assert (await client.search("c", [1.0])).ids == ["a"]
        assert [results.ids async for results in client.search_stream("c", [1.0])] == [["b"], ["a"]]
        assert await client.upsert("c", [Point("a", [1.0])]) == 1
        report = await client.upsert_batch("c", [Point(f"p{i}", [1.0]) for i in range(9)], batch_size=1)
        assert int(report) == 9
    with pytest.raises(vectron.VectronError, match="closed"):
        await client.list_collections()


async def test_a_cancelled_task_ends_its_call(script):
    script.answers["Search"] = [UNAVAILABLE]
    async with AsyncVectronClient(script.address, retry=RetryPolicy(max_attempts=100)) as client:
        task = asyncio.create_task(client.search("c", [1.0]))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
