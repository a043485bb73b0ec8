"""LangChain vector store on a Vectron collection (`pip install vectron[langchain]`).

    store = VectronVectorStore(VectronClient("localhost:8081"), "docs", embedding)
    store.add_texts(["..."])
    store.similarity_search("...", k=4, filter={"must": [{"field": "metadata.lang", "match": "en"}]})

A document is a point: its text is payload field "text", its metadata payload field "metadata". The collection is made with the
first documents, when their dimension is known. Filters are those of `vectron.filters`, over paths such as "metadata.lang".
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from vectron.client import VectronClient
from vectron.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from vectron.filters import Filter
from vectron.types import Point, SearchResult

_TEXT, _METADATA = "text", "metadata"


class VectronVectorStore(VectorStore):
    """Thread-safe. The asynchronous methods run these in threads, as LangChain's base class does.

    distance: of a collection this makes; one that exists keeps its own. Scores are distances: lower is closer.
    """

    def __init__(self, client: VectronClient, collection: str, embedding: Embeddings, *, distance: str = "cosine"):
        self._client = client
        self._collection = collection
        self._embedding = embedding
        self._distance = distance
        self._made = False
        self._lock = threading.Lock()

    @property
    def embeddings(self) -> Embeddings:
        return self._embedding

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Writes texts, replacing those of the same id; their ids, made up where None."""
        texts = list(texts)
        if ids is not None and len(ids) != len(texts):
            raise InvalidArgumentError(f"{len(ids)} ids for {len(texts)} texts; there must be as many")
        if metadatas is not None and len(metadatas) != len(texts):
            raise InvalidArgumentError(f"{len(metadatas)} metadatas for {len(texts)} texts; there must be as many")
        if not texts:
            return []
        names = [id or str(uuid.uuid4()) for id in ids] if ids is not None else [str(uuid.uuid4()) for _ in texts]
        vectors = self._embedding.embed_documents(texts)
        self._ensure_collection(len(vectors[0]))
        points = [
            Point(name, vector, {_TEXT: text, _METADATA: metadata or {}})
            for name, vector, text, metadata in zip(names, vectors, texts, metadatas or [{}] * len(texts))
        ]
        # In order and in one request where they fit: of two texts with one id the last wins.
        self._client.upsert(self._collection, points)
        return names

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Deletes by id; ids that do not exist are passed over. None: every document."""
        try:
            for id in ids if ids is not None else [p.id for p in self._client.scroll(self._collection, include_payload=False)]:
                self._client.delete(self._collection, id)
        except NotFoundError:  # no collection yet, so nothing to delete
            pass
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents that exist, in the order of ids."""
        documents = []
        for id in ids:
            try:
                point = self._client.get(self._collection, id)
            except NotFoundError:
                continue
            documents.append(_document(point.id, point.payload))
        return documents

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """kwargs: further options of VectronClient.search, such as ef= or score_threshold=."""
        return self.similarity_search_with_score_by_vector(self._embedding.embed_query(query), k, filter, **kwargs)

    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in self.similarity_search_with_score_by_vector(embedding, k, **kwargs)]

    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        return [(_document(r.id, r.payload), r.score) for r in self._search(embedding, k, filter, **kwargs)]

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        return self.max_marginal_relevance_search_by_vector(
            self._embedding.embed_query(query), k, fetch_k, lambda_mult, **kwargs
        )

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Of the fetch_k nearest, k that are near and unlike each other. Carbonell & Goldstein 1998."""
        found = self._search(embedding, max(fetch_k, k), filter, include_vectors=True, **kwargs)
        vectors: list[Any] = [result.vector for result in found]
        chosen = maximal_marginal_relevance(np.array(embedding, dtype=np.float32), vectors, lambda_mult, k) if found else []
        return [_document(found[at].id, found[at].payload) for at in chosen]

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        client: VectronClient | None = None,
        collection: str = "langchain",
        host: str = "localhost:8081",
        api_key: str | None = None,
        **kwargs: Any,
    ) -> VectronVectorStore:
        """A store with these texts. client, or host and api_key; kwargs: options of the constructor."""
        store = cls(client or VectronClient(host, api_key), collection, embedding, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        if self._distance == "cosine":
            return lambda distance: 1.0 - distance / 2.0
        if self._distance == "euclidean":
            return lambda distance: 1.0 / (1.0 + distance)
        raise InvalidArgumentError("a dot product has no relevance score in [0, 1]; use similarity_search_with_score")

    def _search(self, embedding: list[float], k: int, filter: Filter | None, **options: Any) -> list[SearchResult]:
        if k < 1:
            return []
        if filter is not None:
            options["filter"] = filter
        try:
            return self._client.search(self._collection, embedding, k, **options)
        except NotFoundError:
            return []  # made with the first documents

    def _ensure_collection(self, dimension: int) -> None:
        with self._lock:
            if self._made:
                return
            try:
                self._client.create_collection(self._collection, dimension, self._distance)
            except AlreadyExistsError:
                pass
            self._made = True


def _document(id: str, payload: dict[str, Any]) -> Document:
    return Document(id=id, page_content=payload.get(_TEXT, ""), metadata=payload.get(_METADATA) or {})
