"""LangChain's own test suite for vector stores, and what it does not cover."""

import pytest

langchain_tests = pytest.importorskip("langchain_tests", reason="NOT TESTED: langchain-tests is not installed")

from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_tests.integration_tests.vectorstores import VectorStoreIntegrationTests

from vectron import InvalidArgumentError, field
from vectron.langchain import VectronVectorStore


class TestVectronVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, client, name):
        return VectronVectorStore(client, name, self.get_embeddings())


@pytest.fixture
def store(client, name):
    return VectronVectorStore(client, name, DeterministicFakeEmbedding(size=8))


def test_filters_and_scores(store):
    store.add_texts(["one", "two", "three"], [{"n": 1}, {"n": 2}, {"n": 3}], ids=["1", "2", "3"])
    found = store.similarity_search_with_score("two", k=3, filter=field("metadata.n") >= 2)
    assert [document.id for document, _ in found][0] == "2" and len(found) == 2
    assert found[0][1] == pytest.approx(0, abs=1e-6)
    best, score = store.similarity_search_with_relevance_scores("one", k=1)[0]
    assert best == Document(id="1", page_content="one", metadata={"n": 1}) and score == pytest.approx(1, abs=1e-6)


def test_marginal_relevance_avoids_repeats(store):
    store.add_texts(["same", "same", "same", "other"], ids=["a", "b", "c", "d"])
    found = store.max_marginal_relevance_search("same", k=2, fetch_k=4, lambda_mult=0.1)
    assert {document.page_content for document in found} == {"same", "other"}


def test_from_texts_and_lengths(client, name):
    embedding = DeterministicFakeEmbedding(size=8)
    store = VectronVectorStore.from_texts(["x"], embedding, [{"k": "v"}], client=client, collection=name, ids=["i"])
    assert store.get_by_ids(["i"])[0].metadata == {"k": "v"}
    with pytest.raises(InvalidArgumentError, match="2 ids for 1 texts"):
        store.add_texts(["x"], ids=["a", "b"])
