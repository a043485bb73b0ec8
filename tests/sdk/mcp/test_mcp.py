"""`vectronctl mcp` through the official client of the Model Context Protocol. VECTRONCTL_BINARY names the program."""

import os
import sys

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "api"))
import vectron_server

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = vectron_server.Server(str(tmp_path_factory.mktemp("mcp") / "data"))
    api = started.client()
    api.create("docs", 2, distance="cosine", payloadIndexes=[{"field": "kind", "type": "KEYWORD"}])
    api.upsert("docs", [{"id": "a", "vector": [1, 0], "payload": {"kind": "x", "é": "ü"}}, {"id": "b", "vector": [0, 1]}])
    api.close()
    yield started
    started.stop()


def connect(server, *options):
    arguments = ["mcp", "--host", server.ready["grpc"], *options]
    return stdio_client(StdioServerParameters(command=os.environ["VECTRONCTL_BINARY"], args=arguments))


async def call(session, tool, **arguments):
    result = await session.call_tool(tool, arguments)
    assert not result.is_error, result.content[0].text
    return result.structured_content


async def test_an_assistant_finds_its_way(server):
    async with connect(server) as (read, write), ClientSession(read, write) as session:
        hello = await session.initialize()
        assert hello.server_info.name == "vectron"
        await session.send_ping()
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        assert set(tools) == {"list_collections", "describe_collection", "search", "get_point", "upsert_points"}
        assert tools["search"].annotations.read_only_hint and not tools["upsert_points"].annotations.read_only_hint
        assert await call(session, "list_collections") == {"collections": ["docs"]}
        described = await call(session, "describe_collection", collection="docs")
        assert (described["dimension"], described["pointCount"]) == (2, "2")
        found = await call(session, "search", collection="docs", vector=[1, 0.1], top_k=1)
        assert [(hit["id"], hit["payload"]) for hit in found["results"]] == [("a", {"kind": "x", "é": "ü"})]
        found = await call(session, "search", collection="docs", like="b", filter={"must": [{"field": "kind", "match": "x"}]})
        assert [hit["id"] for hit in found["results"]] == ["a"]
        written = await call(
            session, "upsert_points", collection="docs", points=[{"id": "c", "vector": [1, 1], "payload": {"n": 1}}]
        )
        assert written == {"upserted": 1}
        assert (await call(session, "get_point", collection="docs", id="c"))["payload"] == {"n": 1}


async def test_a_failure_is_told_in_words_and_the_session_goes_on(server):
    async with connect(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        for tool, arguments, words in [
            ("search", {"collection": "absent", "vector": [1, 0]}, "absent"),
            ("search", {"collection": "docs", "vector": [1, 0, 0]}, "2"),
            ("search", {"collection": "docs"}, "vector"),
            ("get_point", {"collection": "docs", "id": "absent"}, "absent"),
        ]:
            result = await session.call_tool(tool, arguments)
            assert result.is_error and words in result.content[0].text
        assert await call(session, "list_collections") == {"collections": ["docs"]}


async def test_read_only_leaves_out_the_tools_that_write(server):
    async with connect(server, "--read-only") as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        assert "upsert_points" not in {tool.name for tool in (await session.list_tools()).tools}
