"""What goes over the wire: compressed when asked for, and no larger than allowed."""

import pytest
import relay

import vectron
from vectron import Point, VectronClient

TEXT = "x" * 100_000


def test_gzip_is_used_and_understood(address, client, name):
    client.create_collection(name, 1)
    between = relay.Relay(address)
    with VectronClient(between.address, compression="gzip") as small:
        assert small.upsert(name, [Point("a", [1], {"text": TEXT})]) == 1
        assert small.search(name, [1])[0].payload == {"text": TEXT}
    assert 0 < between.sent < 20_000


def test_a_message_that_is_too_large_says_what_to_do(address, client, name):
    client.create_collection(name, 1)
    words = "larger than.*smaller batches.*max_message_bytes"
    with VectronClient(address, max_message_bytes=10_000, retry=vectron.NO_RETRY) as tiny:
        with pytest.raises(vectron.ResourceExhaustedError, match=words):
            tiny.upsert(name, [Point("a", [1], {"text": TEXT})])
        client.upsert(name, [Point("a", [1], {"text": TEXT})])
        with pytest.raises(vectron.ResourceExhaustedError, match=words):
            tiny.get(name, "a")
