"""The Python client against a real server."""

import os
import socket
import sys
import threading
import time

import numpy as np
import pytest
import vectron_server

import vectron
from vectron import AsyncVectronClient, FeedbackItem, Point, VectronClient, field

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import expired_token


def test_the_older_names_work_as_they_did(client, name):
    client.create_collection(name, 3)
    assert name in client.list_collections()
    assert client.get_collection_status(name).distance == "euclidean"
    assert client.upsert(name, [Point(id="a", vector=[1.0, 0.0, 0.0], payload={"k": "v"})]) == 1
    assert int(client.upsert_batch(name, [Point(id="b", vector=[0.0, 1.0, 0.0])])) == 1
    found = client.search(name, vector=[1.0, 0.0, 0.0], top_k=1)
    assert (found[0].id, found[0].score, found[0].payload) == ("a", 0.0, {"k": "v"})
    assert client.get(name, "a").payload == {"k": "v"}
    client.delete(name, "a")
    with pytest.raises(vectron.NotFoundError):
        client.get(name, "a")


def test_options_of_a_collection_arrive(client, name):
    client.create_collection(
        name,
        4,
        "dot",
        storage="f16",
        hnsw_m=8,
        payload_indexes={"tag": "keyword", "n": "integer"},
        default_consistency="eventual",
    )
    status = client.get_collection_status(name)
    assert (status.dimension, status.distance, status.ready) == (4, "dot", True)
    with pytest.raises(vectron.AlreadyExistsError, match=name):
        client.create_collection(name, 4)
    client.delete_collection(name)
    with pytest.raises(vectron.NotFoundError, match=name):
        client.delete_collection(name)


def test_payloads_keep_their_types(client, name):
    client.create_collection(name, 2)
    payload = {"s": "é", "i": 7, "f": 0.5, "b": True, "none": None, "list": [1, "two", {"three": 3}], "deep": {"a": {"b": []}}}
    client.upsert(name, [Point("p", [1, 2], payload)])
    point = client.get(name, "p")
    assert point.payload == payload
    assert point.payload["b"] is True and isinstance(point.payload["i"], int)
    assert point.vector.dtype == np.float32 and point.vector.tolist() == [1, 2] and point.version > 0


def test_filters_choose_what_their_expression_says(client, name):
    client.create_collection(name, 1, payload_indexes={"n": "integer"})
    points = [Point(f"p{i}", [i], {"n": i, "even": i % 2 == 0, "tags": [f"t{i % 3}"]}) for i in range(12)]
    client.upsert(name, points)
    for filter, expected in [
        (field("n") < 3, lambda i: i < 3),
        ((field("n") >= 3) & (field("even") == True), lambda i: i >= 3 and i % 2 == 0),  # noqa: E712
        ((field("n") < 2) | (field("n") > 9), lambda i: i < 2 or i > 9),
        (~field("tags[]").one_of(["t0", "t1"]), lambda i: i % 3 == 2),
        ((field("even") != True) & ~(field("n") == 1), lambda i: i % 2 == 1 and i != 1),  # noqa: E712
        (vectron.has_id("p3", "p5", "absent"), lambda i: i in (3, 5)),
        (field("missing").exists(), lambda i: False),
        ({"must": [{"field": "n", "range": {"gte": 4, "lte": 5}}]}, lambda i: 4 <= i <= 5),
    ]:
        wanted = [f"p{i}" for i in range(12) if expected(i)]
        assert sorted(client.search(name, [0], top_k=12, filter=filter).ids) == sorted(wanted)
        assert sorted(point.id for point in client.scroll(name, filter=filter, page_size=5)) == sorted(wanted)


def test_search_options_arrive(client, name):
    client.create_collection(name, 1)
    client.upsert(name, [Point(f"p{i}", [i], {"n": i, "m": i}) for i in range(10)])
    assert client.search(name, [0], 3, offset=2).ids == ["p2", "p3", "p4"]
    assert client.search(name, [0], 10, score_threshold=4.0).ids == ["p0", "p1", "p2"]
    assert client.search(name, [0], 1, payload_fields=["n"])[0].payload == {"n": 0}
    assert client.search(name, [0], 1, include_payload=False)[0].payload == {}
    assert client.search(name, [0], 1)[0].vector is None
    assert client.search(name, [5], 1, include_vectors=True)[0].vector.tolist() == [5.0]
    explained = client.search(name, [0], 1, exact=True, explain=True, consistency="eventual")
    assert explained.explain["shards"][0]["plan"]
    assert explained.query_id


def test_streams_end_with_what_search_says(client, name):
    client.create_collection(name, 2)
    client.upsert(name, [Point(f"p{i}", [i, 1]) for i in range(50)])
    answers = list(client.search_stream(name, np.array([3.0, 1.0]), top_k=5))
    assert answers[-1].last and answers[-1].ids == client.search(name, [3, 1], 5).ids


def test_100_000_points_over_the_size_limit_are_split(client, name):
    """They take more than the 64 MiB of one request, by their payloads, so that indexing them is quick."""
    count = 100_000
    vectors = np.arange(count, dtype=np.float32).reshape(count, 1)
    text = "x" * 700
    client.create_collection(name, 1, hnsw_m=4, hnsw_ef_construct=8)
    steps = []
    ids = [f"p{i}" for i in range(count)]
    report = client.upsert_batch(
        name, ids=ids, vectors=vectors, payloads=({"text": text} for _ in ids), progress=steps.append, timeout=250
    )
    assert int(report) == count and len(steps) > 30
    assert (steps[-1].points_done, steps[-1].points_total) == (count, count)
    assert client.get_collection_status(name).point_count == count
    assert client.get(name, "p54321").vector.tolist() == [54_321.0]
    # upsert itself splits as well
    assert client.upsert(name, ids=ids, vectors=vectors, payloads=({"text": text} for _ in ids), timeout=250) == count
    client.delete_collection(name)


def test_a_request_id_applies_once(client, name):
    client.create_collection(name, 1)
    client.upsert(name, [Point("p", [1])], request_id="r")
    client.upsert(name, [Point("p", [2])])
    client.upsert(name, [Point("p", [1])], request_id="r")  # a late repeat of the first
    assert client.get(name, "p").vector.tolist() == [2.0]


def test_insert_only_refuses_what_exists(client, name):
    client.create_collection(name, 1)
    client.upsert(name, [Point("p", [1])])
    with pytest.raises(vectron.AlreadyExistsError, match="p"):
        client.upsert(name, [Point("p", [2])], insert_only=True)


def test_a_collection_tells_what_it_was_made_with(client, name):
    made = {
        "shard_count": 1,
        "hnsw_m": 8,
        "storage": "f16",
        "payload_indexes": {"n": "integer"},
        "default_consistency": "eventual",
        "rerank": "rule",
        "rerank_candidates": 7,
        "rerank_budget_ms": 500,
        "rerank_explore": False,
    }
    client.create_collection(name, 1, **made)
    options = client.get_collection_status(name).options
    assert {key: options[key] for key in made} == made
    client.create_collection(name + "-other", 1, **options)
    assert client.get_collection_status(name + "-other").options == options
    client.upsert(name, [Point("a", [1], {"text": "a blue boat"})])
    assert client.search(name, [1], query="boat").rerank.strategy == "rule"
    assert client.search(name, [1]).rerank is None


def test_versions_of_a_write_are_told_and_reads_say_how_fresh(client, name):
    client.create_collection(name, 1)
    versions = client.upsert_versions(name, [Point("a", [1]), Point("b", [2])])
    fresh = {"consistency": "bounded", "max_staleness_ms": 60_000}
    assert [client.get(name, "a", **fresh).version, client.get(name, "b").version] == versions
    assert len(list(client.scroll(name, **fresh))) == 2


def test_one_bad_part_does_not_stop_the_batch(client, name):
    client.create_collection(name, 2)
    points = [Point(f"p{i}", [i, i] if i != 5 else [1, 2, 3]) for i in range(9)]
    report = client.upsert_batch(name, points, batch_size=3, raise_on_failure=False)
    assert int(report) == 6 and report.failed_ids == ["p3", "p4", "p5"]
    assert isinstance(report.failures[0].error, vectron.InvalidArgumentError) and "p5" in str(report.failures[0].error)
    with pytest.raises(vectron.PartialUpsertError, match="3 points were not written"):
        client.upsert_batch(name, points, batch_size=3)


@pytest.mark.parametrize("id", ["日本語", "emoji-😀", "a/b?c=d%20", "x" * 256, " spaces ", "ﬁ"])
def test_unicode_ids_come_back_as_they_went(client, name, id):
    client.create_collection(name, 1)
    client.upsert(name, [Point(id, [1])])
    assert client.get(name, id).id == id
    assert client.search(name, [1]).ids == [id]
    client.delete(name, id)


@pytest.mark.parametrize(
    "points, words",
    [
        ([Point("p", [1, 2, 3])], ["p", "3", "2"]),
        ([Point("p", [1, float("nan")])], ["p", "component 1", "nan"]),
        ([Point("x" * 257, [1, 2])], ["256"]),
        ([Point("a\nb", [1, 2])], ["control"]),
        ([Point("p", [1, 2], {"a": "x" * (1 << 20)})], ["p", "payload"]),
    ],
)
def test_bad_points_are_named_and_nothing_is_written(client, name, points, words):
    client.create_collection(name, 2)
    with pytest.raises(vectron.InvalidArgumentError) as caught:
        client.upsert(name, [Point("good", [1, 2]), *points])
    for word in words:
        assert word in str(caught.value)
    assert client.get_collection_status(name).point_count == 0


def test_a_bad_query_is_named(client, name):
    client.create_collection(name, 2)
    with pytest.raises(vectron.InvalidArgumentError, match="2"):
        client.search(name, [1, 2, 3])
    with pytest.raises(vectron.InvalidArgumentError, match="query: component 0"):
        client.search(name, [float("nan"), 1])
    with pytest.raises(vectron.NotFoundError, match="absent"):
        client.search("absent", [1, 2])


def test_a_wrong_host_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: nothing else can answer there
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with VectronClient(address, timeout_seconds=60) as client, pytest.raises(vectron.UnavailableError) as caught:
            client.list_collections()
    assert address in str(caught.value) and "is the server running" in str(caught.value)


def test_a_server_that_does_not_answer_is_a_timeout():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # accepts, and never says a word
        with VectronClient(f"127.0.0.1:{silent.getsockname()[1]}") as client:
            started = time.monotonic()
            with pytest.raises((vectron.DeadlineExceededError, vectron.UnavailableError), match="in time|reach"):
                client.list_collections(timeout=0.3)
            assert time.monotonic() - started < 10


def test_a_client_survives_a_restart_of_the_server(tmp_path):
    server = vectron_server.Server(str(tmp_path / "data"))
    address = server.ready["grpc"]
    with VectronClient(address, retry=vectron.RetryPolicy(max_attempts=100), timeout_seconds=120) as client:
        client.create_collection("c", 2)
        client.upsert("c", [Point("a", [1, 2])])
        stream = client.search_stream("c", [1, 2])
        first = next(stream)
        server.kill()
        rest = []
        listener = threading.Thread(target=lambda: rest.extend(stream))
        listener.start()
        writer = threading.Thread(target=lambda: client.upsert("c", [Point("b", [3, 4])]))
        writer.start()
        server = vectron_server.Server(str(tmp_path / "data"), grpc=address)
        listener.join()
        writer.join()
        final = ([first, *rest])[-1]
        assert final.last and "a" in final.ids
        assert client.get("c", "b").vector.tolist() == [3.0, 4.0]
    assert server.stop() == 0


def test_feedback_is_stored(client, name):
    client.create_collection(name, 1)
    client.upsert(name, [Point("a", [1])])
    results = client.search(name, [1], query="hello")
    item = FeedbackItem("a", relevance_score=5, clicked=True, position=1)
    ids = [client.submit_feedback(name, [item], query="hello", query_id=results.query_id) for _ in range(2)]
    assert len(ids[0]) == 36
    page = client.list_feedback(name, limit=1)
    assert page.next_after_number
    rest = client.list_feedback(name, after_number=page.next_after_number)
    assert [record.feedback_id for record in page.records + rest.records] == ids and rest.next_after_number == 0
    assert (rest.records[0].items, rest.records[0].query_id) == ([item], results.query_id)
    with pytest.raises(vectron.InvalidArgumentError):
        client.submit_feedback(name, [])


def test_ranking_is_seen_and_controlled(client, name):
    client.create_collection(name, 1)
    assert client.get_ranking(name)["state"] == "rule"
    with pytest.raises(vectron.FailedPreconditionError):
        client.control_ranking(name, "promote")
    with pytest.raises(vectron.InvalidArgumentError, match="promote, rollback"):
        client.control_ranking(name, "improve")


def test_admin_routes_answer(client, name):
    client.create_collection(name, 1)
    health = client.admin.health()
    assert health["overall_status"] in ("healthy", "degraded", "critical")
    assert name in [found["name"] for found in client.admin.collections()]
    assert isinstance(client.admin.alerts(status="active"), list) and client.admin.stats()
    worker = client.admin.workers()[0]["worker_id"]
    assert client.admin.rebalance(dry_run=True) == {"started": False, "moves": []}
    assert client.admin.time_series(window_seconds=60)["stepSeconds"]
    assert client.admin.slow_queries(name, limit=5)["queries"] == []
    with pytest.raises(vectron.FailedPreconditionError):  # nowhere to go
        client.admin.drain_worker(worker)
    with pytest.raises(vectron.FailedPreconditionError):
        client.admin.remove_worker(worker)
    with pytest.raises(vectron.NotFoundError, match="absent"):
        client.admin.resolve_alert("absent")


def test_frames_are_written(client, name):
    pandas = pytest.importorskip("pandas", reason="NOT TESTED: pandas is not installed")
    client.create_collection(name, 2)
    frame = pandas.DataFrame({"id": ["a", "b"], "vector": [[1, 2], [3, 4]], "kind": ["x", None]})
    assert int(client.upsert_frame(name, frame, batch_size=1)) == 2
    assert (client.get(name, "a").payload, client.get(name, "b").payload) == ({"kind": "x"}, {})
    arrow = pytest.importorskip("pyarrow", reason="NOT TESTED: pyarrow is not installed")
    assert int(client.upsert_frame(name, arrow.table({"key": ["c"], "x": [5], "y": [6]}), id="key", vector=["x", "y"])) == 1
    assert client.get(name, "c").vector.tolist() == [5.0, 6.0]


def test_users_and_keys(server_with_users):
    address, data = server_with_users
    with VectronClient(address) as nobody, pytest.raises(vectron.AuthenticationError, match="api_key"):
        nobody.list_collections()
    with VectronClient(address, "vkey-wrong") as wrong, pytest.raises(vectron.AuthenticationError):
        wrong.list_collections()
    secret = (data / "bootstrap.secret").read_text().strip()
    with VectronClient(address) as client:
        user = client.register_user("Ada@Example.org", "Passw0rd!", bootstrap_secret=secret)
        assert user.email == "ada@example.org" and user.role == "admin"
        with pytest.raises(vectron.AuthenticationError):
            client.login("ada@example.org", "wrong-Passw0rd")
        client.login("ada@example.org", "Passw0rd!")
        key = client.create_api_key("test key")
        assert key.full_key.startswith("vkey-") and [k.key_prefix for k in client.list_api_keys()] == [key.key_prefix]
        assert client.validate_api_key(key.full_key).valid
        with VectronClient(address, key.full_key) as keyed:
            keyed.create_collection("c", 1)
            assert keyed.list_collections() == ["c"]
        with VectronClient(address, client.create_sdk_jwt(key.key_prefix)) as sdk:
            assert sdk.list_collections() == ["c"]
            with pytest.raises(vectron.PermissionDeniedError):
                sdk.create_api_key("not allowed")
        client.delete_api_key(key.key_prefix)
        assert not client.validate_api_key(key.full_key).valid
        client.logout()


def test_a_credential_that_expires_says_so(server_with_users):
    address, data = server_with_users
    secret = (data / "bootstrap.secret").read_text().strip()
    with VectronClient(address) as client:
        client.register_user("ada@example.org", "Passw0rd!", bootstrap_secret=secret)
        client.login("ada@example.org", "Passw0rd!")
        key = client.create_api_key("short", expires_at=int(time.time()) + 2)
        with VectronClient(address, key.full_key) as keyed:
            ends = time.monotonic() + 30
            with pytest.raises(vectron.AuthenticationError, match="expired.*need a new login"):
                while time.monotonic() < ends:
                    keyed.list_collections()


def test_a_login_that_is_over_says_so(server_with_users):
    address, data = server_with_users
    with VectronClient(address, token=expired_token.token(str(data))) as late:
        with pytest.raises(vectron.AuthenticationError, match="the token is expired.*need a new login"):
            late.list_collections()
    secret = (data / "bootstrap.secret").read_text().strip()
    with VectronClient(address) as client:
        client.register_user("ada@example.org", "Passw0rd!", bootstrap_secret=secret)
        client.login("ada@example.org", "Passw0rd!")
        with VectronClient(address, token=client.refresh_token()) as other:
            assert other.list_collections() == []
            client.logout()
            with pytest.raises(vectron.AuthenticationError, match="the session has ended.*need a new login"):
                other.list_collections()


def test_accounts_and_what_administrators_do(server_with_users):
    address, data = server_with_users
    secret = (data / "bootstrap.secret").read_text().strip()
    with VectronClient(address) as admin, VectronClient(address) as client:
        admin.register_user("root@example.org", "Passw0rd!", bootstrap_secret=secret)
        admin.login("root@example.org", "Passw0rd!")
        user = client.register_user("ada@example.org", "Passw0rd!")
        assert client.login("ada@example.org", "Passw0rd!") == user and client.get_user_profile() == user
        users, more = admin.list_users()
        assert {found.email for found in users} == {"root@example.org", "ada@example.org"} and more == ""
        first, more = admin.list_users(limit=1)
        assert len(first) == 1 and admin.list_users(after_id=more)[0][0].id != first[0].id
        with pytest.raises(vectron.PermissionDeniedError):
            client.list_users()
        assert admin.update_user_profile("paid").plan == "PAID" and admin.get_user_profile().plan == "PAID"
        with pytest.raises(vectron.PermissionDeniedError):
            client.update_user_profile("paid")
        changed = admin.update_user(user.id, plan="free", subscription_status="past_due", role="admin")
        assert (changed.plan, changed.subscription_status, changed.role) == ("FREE", "PAST_DUE", "admin")
        assert admin.rotate_signing_key()
        assert client.refresh_token()
        client.change_password("Passw0rd!", "Passw0rd!!")
        with pytest.raises(vectron.AuthenticationError):
            client.login("ada@example.org", "Passw0rd!")
        client.delete_user("Passw0rd!!")
        assert [found.email for found in admin.list_users()[0]] == ["root@example.org"]


def test_an_administrator_tells_collections_of_one_name_apart(server_with_users):
    address, data = server_with_users
    secret = (data / "bootstrap.secret").read_text().strip()
    with VectronClient(address) as admin:
        admin.register_user("root@example.org", "Passw0rd!", bootstrap_secret=secret)
        admin.login("root@example.org", "Passw0rd!")
        token = admin.refresh_token()
        users = []
        for dimension, email in enumerate(("ada@example.org", "bob@example.org"), 1):
            with VectronClient(address) as client:
                users.append(client.register_user(email, "Passw0rd!").id)
                client.login(email, "Passw0rd!")
                client.create_collection("same", dimension)
        with pytest.raises(vectron.FailedPreconditionError, match="x-vectron-tenant"):
            admin.get_collection_status("same")
    for dimension, user in enumerate(users, 1):
        with VectronClient(address, token, tenant=user) as client:
            assert client.get_collection_status("same").dimension == dimension


async def test_asyncio_does_the_same(address, name):
    async with AsyncVectronClient(address) as client:
        await client.create_collection(name, 2, "cosine")
        await client.upsert(name, [Point("a", [1, 0], {"n": 1}), Point("b", [0, 1], {"n": 2})])
        vectors = np.random.default_rng(2).normal(size=(5_000, 2))
        report = await client.upsert_batch(name, ids=[f"v{i}" for i in range(5_000)], vectors=vectors, batch_size=500)
        assert int(report) == 5_000
        assert (await client.search(name, [1, 0], 1, filter=field("n") == 1)).ids == ["a"]
        assert [answer async for answer in client.search_stream(name, [1, 0], 2)][-1].last
        assert len([point async for point in client.scroll(name)]) == 5_002
        assert (await client.get(name, "b")).payload == {"n": 2}
        await client.delete(name, "b")
        with pytest.raises(vectron.NotFoundError):
            await client.get(name, "b")
        with pytest.raises(vectron.InvalidArgumentError, match="point 'a'"):
            await client.upsert(name, [Point("a", [float("nan"), 0])])
