"""What goes over the wire: compressed when asked for, and no larger than allowed."""

import socket
import threading

import pytest

import vectron
from vectron import Point, VectronClient

TEXT = "x" * 100_000


class Relay:
    """Passes one connection on to an address, counting the bytes that go there."""

    def __init__(self, address):
        self.sent = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        host, port = address.rsplit(":", 1)
        self._to = (host, int(port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with self._listener:
            here, _ = self._listener.accept()
        there = socket.create_connection(self._to)
        threading.Thread(target=self._copy, args=(there, here, False), daemon=True).start()
        self._copy(here, there, True)

    def _copy(self, source, target, counted):
        while data := source.recv(1 << 16):
            self.sent += len(data) if counted else 0
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def test_gzip_is_used_and_understood(address, client, name):
    client.create_collection(name, 1)
    relay = Relay(address)
    with VectronClient(relay.address, compression="gzip") as small:
        assert small.upsert(name, [Point("a", [1], {"text": TEXT})]) == 1
        assert small.search(name, [1])[0].payload == {"text": TEXT}
    assert 0 < relay.sent < 20_000


def test_a_message_that_is_too_large_says_what_to_do(address, client, name):
    client.create_collection(name, 1)
    words = "larger than.*smaller batches.*max_message_bytes"
    with VectronClient(address, max_message_bytes=10_000, retry=vectron.NO_RETRY) as tiny:
        with pytest.raises(vectron.ResourceExhaustedError, match=words):
            tiny.upsert(name, [Point("a", [1], {"text": TEXT})])
        client.upsert(name, [Point("a", [1], {"text": TEXT})])
        with pytest.raises(vectron.ResourceExhaustedError, match=words):
            tiny.get(name, "a")
