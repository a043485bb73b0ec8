"""One real `vectron dev` for all tests; VECTRON_BINARY names the program."""

import json
import os
import subprocess
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


@pytest.fixture
def server_with_users(tmp_path):
    """(gRPC address, data folder) of a server that wants credentials."""
    data = tmp_path / "data"
    command = [
        vectron_server.BINARY,
        "dev",
        "--data",
        str(data),
        "--http",
        "127.0.0.1:0",
        "--grpc",
        "127.0.0.1:0",
        "--auth",
        "on",
        *("--auth-login-per-minute", "0", "--auth-register-per-minute", "0", "--auth-key-per-minute", "0"),
    ]
    with open(tmp_path / "server.log", "wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    line = process.stdout.readline()
    assert line, (tmp_path / "server.log").read_text(errors="replace")
    yield json.loads(line)["grpc"], data
    process.terminate()
    assert process.wait() == 0


_count = 0


@pytest.fixture
def name():
    """A collection's name that no other test uses."""
    global _count
    _count += 1
    return f"c{_count}"
