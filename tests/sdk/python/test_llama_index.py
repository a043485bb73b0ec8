"""Every operation of LlamaIndex's vector store base class, blocking and asynchronous."""

import pytest

pytest.importorskip("llama_index.core", reason="NOT TESTED: llama-index-core is not installed")

from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from vectron import InvalidArgumentError
from vectron.llama_index import VectronVectorStore


def node(number, document="doc"):
    return TextNode(
        id_=f"n{number}",
        text=f"text {number}",
        embedding=[float(number), 1.0],
        metadata={"n": number, "tags": [f"t{number % 2}"]},
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document)},
    )


@pytest.fixture
def store(client, name):
    made = VectronVectorStore(client, name, distance="euclidean")
    assert made.add([node(1), node(2), node(3), node(4, "other")]) == ["n1", "n2", "n3", "n4"]
    return made


def only(*filters, condition=FilterCondition.AND):
    return MetadataFilters(
        filters=[MetadataFilter(key=key, value=value, operator=operator) for key, operator, value in filters],
        condition=condition,
    )


def ids(store, filters=None, node_ids=None):
    return [found.node_id for found in store.get_nodes(node_ids, filters)]


def test_nodes_come_back_whole(store):
    found = store.get_nodes(["n2"])[0]
    assert found == node(2) and found.embedding == [2.0, 1.0]
    assert found.ref_doc_id == "doc" and found.get_content() == "text 2"


def test_a_query_finds_the_nearest(store):
    result = store.query(VectorStoreQuery(query_embedding=[3.0, 1.0], similarity_top_k=2))
    assert result.ids[0] == "n3" and result.similarities[0] == 0.0 and result.similarities[1] < 0
    assert result.nodes[0].get_content() == "text 3"
    narrowed = VectorStoreQuery(query_embedding=[3.0, 1.0], similarity_top_k=9, doc_ids=["other"])
    assert store.query(narrowed).ids == ["n4"]
    narrowed = VectorStoreQuery(query_embedding=[3.0, 1.0], similarity_top_k=9, node_ids=["n1", "n2"])
    assert store.query(narrowed).ids == ["n2", "n1"]
    narrowed = VectorStoreQuery(query_embedding=[3.0, 1.0], similarity_top_k=9, filters=only(("n", FilterOperator.LT, 2)))
    assert store.query(narrowed).ids == ["n1"]
    with pytest.raises(InvalidArgumentError, match="mode"):
        store.query(VectorStoreQuery(query_embedding=[3.0, 1.0], mode=VectorStoreQueryMode.SPARSE))


@pytest.mark.parametrize(
    "filters, expected",
    [
        (only(("n", FilterOperator.EQ, 2)), ["n2"]),
        (only(("n", FilterOperator.NE, 2)), ["n1", "n3", "n4"]),
        (only(("n", FilterOperator.GT, 3)), ["n4"]),
        (only(("n", FilterOperator.GTE, 3)), ["n3", "n4"]),
        (only(("n", FilterOperator.LTE, 1)), ["n1"]),
        (only(("n", FilterOperator.IN, [1, 4])), ["n1", "n4"]),
        (only(("n", FilterOperator.NIN, [1, 4])), ["n2", "n3"]),
        (only(("tags", FilterOperator.CONTAINS, "t0")), ["n2", "n4"]),
        (only(("tags", FilterOperator.ANY, ["t1"])), ["n1", "n3"]),
        (only(("tags", FilterOperator.ALL, ["t0", "t1"])), []),
        (only(("absent", FilterOperator.IS_EMPTY, None)), ["n1", "n2", "n3", "n4"]),
        (only(("n", FilterOperator.EQ, 1), ("n", FilterOperator.EQ, 3), condition=FilterCondition.OR), ["n1", "n3"]),
        (only(("n", FilterOperator.EQ, 1), condition=FilterCondition.NOT), ["n2", "n3", "n4"]),
        (MetadataFilters(filters=[only(("n", FilterOperator.LT, 3)), only(("tags", FilterOperator.CONTAINS, "t1"))]), ["n1"]),
        (MetadataFilters(filters=[]), ["n1", "n2", "n3", "n4"]),
    ],
)
def test_every_filter_operator(store, filters, expected):
    assert ids(store, filters) == expected


def test_an_operator_we_lack_is_refused(store):
    with pytest.raises(InvalidArgumentError, match="not offered"):
        ids(store, only(("n", FilterOperator.TEXT_MATCH, "x")))


def test_deletes(store):
    store.delete("other")
    assert ids(store) == ["n1", "n2", "n3"]
    store.delete_nodes(["n1", "absent"])
    assert ids(store) == ["n2", "n3"]
    store.delete_nodes(filters=only(("n", FilterOperator.EQ, 3)))
    assert ids(store) == ["n2"]
    store.delete_nodes([])
    assert ids(store) == ["n2"]
    with pytest.raises(InvalidArgumentError):
        store.delete_nodes()
    store.clear()
    assert ids(store) == []
    assert store.query(VectorStoreQuery(query_embedding=[1.0, 1.0])).ids == []
    store.delete("doc")
    store.add([node(9)])
    assert ids(store) == ["n9"]
    assert store.add([]) == []


def test_the_client_is_shown_and_the_server_keeps_the_nodes(client, store, tmp_path):
    assert store.client is client
    store.persist(str(tmp_path / "store"))
    assert list(tmp_path.iterdir()) == []
    assert ids(VectronVectorStore(client, store.collection)) == ["n1", "n2", "n3", "n4"]


async def test_the_asynchronous_operations(store):
    assert await store.async_add([node(7)]) == ["n7"]
    result = await store.aquery(VectorStoreQuery(query_embedding=[7.0, 1.0], similarity_top_k=1))
    assert result.ids == ["n7"]
    assert [found.node_id for found in await store.aget_nodes(["n7"])] == ["n7"]
    await store.adelete_nodes(["n7"])
    await store.adelete("other")
    assert ids(store) == ["n1", "n2", "n3"]
    await store.aclear()
    assert ids(store) == []
