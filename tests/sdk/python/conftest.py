"""One real `vectron dev` for all tests; VECTRON_BINARY names the program."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "api"))
import vectron_server

from vectron import VectronClient


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    started = vectron_server.Server(str(tmp_path_factory.mktemp("vectron") / "data"))
    yield started
    assert started.stop() == 0, started.log()


@pytest.fixture(scope="session")
def address(server):
    return server.ready["grpc"]


@pytest.fixture(scope="session")
def client(server, address):
    with VectronClient(address, http_url=f"http://{server.ready['http']}") as made:
        yield made


_count = 0


@pytest.fixture
def name():
    """A collection's name that no other test uses."""
    global _count
    _count += 1
    return f"c{_count}"
