"""A connection that has died without a word is noticed by pings while a call is under way, and replaced."""

import relay

from vectron import AsyncVectronClient, Point, RetryPolicy, VectronClient

# An attempt may take all of the call's time: what ends it earlier is the ping without an answer. On a busy machine that may end
# good connections too, whence the many attempts.
OPTIONS = {
    "timeout_seconds": 60,
    "attempt_timeout_seconds": 60,
    "keepalive_time_seconds": 0.1,
    "keepalive_timeout_seconds": 0.5,
    "retry": RetryPolicy(max_attempts=100),
}


def test_a_silent_connection_is_replaced(address, client, name):
    client.create_collection(name, 1)
    client.upsert(name, [Point("a", [1])])
    between = relay.Relay(address)
    with VectronClient(between.address, **OPTIONS) as pinging:
        for ask in (lambda: [pinging.search(name, [1])], lambda: list(pinging.search_stream(name, [1]))):
            assert ask()[-1].ids == ["a"]
            before = between.connections
            between.fall_silent()
            assert ask()[-1].ids == ["a"] and between.connections > before


async def test_asyncio_replaces_it_too(address, client, name):
    client.create_collection(name, 1)
    client.upsert(name, [Point("a", [1])])
    between = relay.Relay(address)
    async with AsyncVectronClient(between.address, **OPTIONS) as pinging:

        async def streamed():
            return [better async for better in pinging.search_stream(name, [1])][-1]

        for ask in (lambda: pinging.search(name, [1]), streamed):
            assert (await ask()).ids == ["a"]
            before = between.connections
            between.fall_silent()
            assert (await ask()).ids == ["a"] and between.connections > before
