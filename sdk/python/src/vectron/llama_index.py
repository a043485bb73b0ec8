"""LlamaIndex vector store on a Vectron collection (`pip install vectron[llama-index]`).

s = VectronVectorStore(VectronClient("localhost:8081"), "docs")
index = VectorStoreIndex.from_documents(documents, storage_context=StorageContext.from_defaults(vector_store=s))

index = VectorStoreIndex(nodes, storage_context=StorageContext.from_defaults(vector_store=s))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode, TextNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from vectron.client import VectronClient
from vectron.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from vectron.filters import Expression, Group, field, has_id
from vectron.types import Point

_TEXT = "_text"


class VectronVectorStore(BasePydanticVectorStore):
    """Thread-safe. The asynchronous methods of the base class call these.

    similarities are 1 - distance with cosine, else minus the distance: higher is closer, as LlamaIndex expects.
    """

    stores_text: bool = True
    flat_metadata: bool = False
    collection: str
    distance: str = "cosine"
    _client: VectronClient = PrivateAttr()
    _made: bool = PrivateAttr(default=False)

    def __init__(self, client: VectronClient, collection: str, distance: str = "cosine", **kwargs: Any):
        super().__init__(**{"collection": collection, "distance": distance, **kwargs})
        self._client = client

    @classmethod
    def class_name(cls) -> str:
        return "VectronVectorStore"

    @property
    def client(self) -> VectronClient:
        return self._client

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Writes nodes with their embeddings, replacing those of the same id; their ids."""
        if not nodes:
            return []
        if not self._made:
            try:
                self._client.create_collection(self.collection, len(nodes[0].get_embedding()), self.distance)
            except AlreadyExistsError:
                pass
            self._made = True
        points = []
        for node in nodes:
            payload = node_to_metadata_dict(node, remove_text=True, flat_metadata=False)
            payload[_TEXT] = node.get_content()
            points.append(Point(node.node_id, node.get_embedding(), payload))
        self._client.upsert(self.collection, points)
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Deletes the nodes of one source document."""
        self._delete(field("ref_doc_id") == ref_doc_id)

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any
    ) -> None:
        """Deletes the nodes with these ids that pass the filters; None stands for all ids, or no filters. One must be given."""
        if node_ids is None and filters is None:
            raise InvalidArgumentError("delete_nodes needs node_ids or filters; clear() deletes everything")
        self._delete(_selection(node_ids, filters))

    def clear(self) -> None:
        """Deletes the collection; the next add makes it anew."""
        self._made = False
        try:
            self._client.delete_collection(self.collection)
        except NotFoundError:
            pass

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """The nodes with these ids that pass the filters; None stands for all."""
        try:
            found = list(self._client.scroll(self.collection, filter=_selection(node_ids, filters), include_vectors=True))
        except NotFoundError:
            return []
        nodes = []
        for point in found:
            node = _node(point.id, point.payload)
            node.embedding = [float(x) for x in point.vector]
            nodes.append(node)
        return nodes

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """kwargs: further options of VectronClient.search. Errors: InvalidArgumentError for a mode other than DEFAULT."""
        if query.mode != VectorStoreQueryMode.DEFAULT:
            raise InvalidArgumentError(f"query mode {query.mode} is not offered; use VectorStoreQueryMode.DEFAULT")
        if query.query_embedding is None:
            raise InvalidArgumentError("the query has no query_embedding")
        if query.doc_ids:
            kwargs["filter"] = _all([_selection(query.node_ids, query.filters), field("ref_doc_id").one_of(query.doc_ids)])
        elif query.node_ids is not None or query.filters is not None:
            kwargs["filter"] = _selection(query.node_ids, query.filters)
        if query.query_str:
            kwargs.setdefault("query", query.query_str)
        try:
            results = self._client.search(self.collection, query.query_embedding, query.similarity_top_k, **kwargs)
        except NotFoundError:
            return VectorStoreQueryResult(nodes=[], similarities=[], ids=[])
        higher_is_better = results.reranked
        offset = 1.0 if self.distance == "cosine" else 0.0
        return VectorStoreQueryResult(
            nodes=[_node(result.id, result.payload) for result in results],
            similarities=[result.score if higher_is_better else offset - result.score for result in results],
            ids=results.ids,
        )

    def _delete(self, selection: Expression) -> None:
        try:
            doomed = [point.id for point in self._client.scroll(self.collection, filter=selection, include_payload=False)]
            for id in doomed:
                self._client.delete(self.collection, id)
        except NotFoundError:
            pass


def _node(id: str, payload: dict[str, Any]) -> BaseNode:
    text = payload.get(_TEXT, "")
    metadata = {key: value for key, value in payload.items() if key != _TEXT}
    try:
        return metadata_dict_to_node(metadata, text=text)
    except (ValueError, KeyError):  # a point that was not written by LlamaIndex
        return TextNode(id_=id, text=text, metadata=metadata)


def _all(parts: list[Expression]) -> Expression:
    return Group(must=parts)


def _selection(node_ids: list[str] | None, filters: MetadataFilters | None) -> Expression:
    parts: list[Expression] = []
    if node_ids is not None:
        # An empty list selects nothing.
        parts.append(has_id(*node_ids) if node_ids else ~Group())
    if filters is not None:
        parts.append(_translate(filters))
    return _all(parts)


def _translate(filters: MetadataFilters) -> Expression:
    parts = [_translate(part) if isinstance(part, MetadataFilters) else _test(part) for part in filters.filters]
    if not parts:
        return Group()
    if filters.condition == FilterCondition.OR:
        return Group(should=parts)
    if filters.condition == FilterCondition.NOT:
        return Group(must_not=parts)
    return Group(must=parts)


def _test(test: MetadataFilter) -> Expression:
    path, operator = field(test.key), test.operator
    value: Any = test.value
    simple: dict[FilterOperator, Callable[[], Expression]] = {
        FilterOperator.EQ: lambda: path == value,
        FilterOperator.NE: lambda: path != value,
        FilterOperator.GT: lambda: path > value,
        FilterOperator.GTE: lambda: path >= value,
        FilterOperator.LT: lambda: path < value,
        FilterOperator.LTE: lambda: path <= value,
        FilterOperator.IN: lambda: path.one_of(value),
        FilterOperator.ANY: lambda: path.one_of(value),
        FilterOperator.NIN: lambda: ~path.one_of(value),
        FilterOperator.ALL: lambda: _all([path == part for part in value]),
        FilterOperator.CONTAINS: lambda: path == value,  # an element of an array
        FilterOperator.IS_EMPTY: lambda: path.is_empty(),
    }
    if operator not in simple:
        raise InvalidArgumentError(f"filter operator {operator} on {test.key!r} is not offered by Vectron")
    return simple[operator]()
