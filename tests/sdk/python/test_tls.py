"""TLS against a real server: authorities, names, and certificates of clients."""

import os

import pytest
import vectron_server

import vectron
from vectron import AsyncVectronClient, VectronClient

FOLDER = os.environ.get("VECTRON_CERTIFICATES", "")
pytestmark = pytest.mark.skipif(
    not FOLDER, reason="NOT TESTED: VECTRON_CERTIFICATES names no folder; tests/sdk/run.sh makes it"
)


def pem(name):
    with open(os.path.join(FOLDER, name), "rb") as file:
        return file.read()


def path(name):
    return os.path.join(FOLDER, name)


def trusting(authority="ca.pem"):
    return {"use_tls": True, "tls_root_certificates": pem(authority), "timeout_seconds": 60}


def showing(name):
    return {"tls_client_certificate": pem(f"{name}.pem"), "tls_client_key": pem(f"{name}.key")}


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    data = str(tmp_path_factory.mktemp("tls") / "data")
    server = vectron_server.Server(data, args=["--tls-cert", path("server.pem"), "--tls-key", path("server.key")])
    yield server.ready
    assert server.stop() == 0


@pytest.fixture(scope="module")
def mutual(tmp_path_factory):
    flags = ["--tls-cert", path("server.pem"), "--tls-key", path("server.key"), "--tls-client-ca", path("ca.pem")]
    server = vectron_server.Server(str(tmp_path_factory.mktemp("mutual") / "data"), args=flags)
    yield server.ready
    assert server.stop() == 0


def refused(address, words, **options):
    with VectronClient(address, **options) as client, pytest.raises(vectron.UnavailableError) as caught:
        client.list_collections()
    for word in (*words, address):
        assert word in str(caught.value)


async def test_the_right_authority_is_trusted(tls):
    url = f"https://{tls['http']}"
    with VectronClient(tls["grpc"], http_url=url, **trusting()) as client:
        client.create_collection("c", 1)
        assert client.list_collections() == ["c"]
        assert client.admin.health()["overall_status"]
    async with AsyncVectronClient(tls["grpc"], **trusting()) as client:
        assert await client.list_collections() == ["c"]


def test_a_wrong_authority_or_name_is_told(tls, address):
    refused(tls["grpc"], ["TLS with", "tls_root_certificates"], **trusting("other-ca.pem"))
    refused(tls["grpc"], ["TLS with", "tls_server_name"], **trusting(), tls_server_name="other.example")
    refused(tls["grpc"], ["use_tls=True"], timeout_seconds=60)
    refused(address, ["TLS with", "does this port speak TLS"], **trusting())
    with VectronClient(tls["grpc"], http_url=f"https://{tls['http']}", **trusting("other-ca.pem")) as client:
        with pytest.raises(vectron.UnavailableError, match="TLS with"):
            client.admin.health()


def test_a_client_shows_the_certificate_that_the_server_wants(mutual):
    url = f"https://{mutual['http']}"
    with VectronClient(mutual["grpc"], http_url=url, **trusting(), **showing("client")) as client:
        assert client.list_collections() == []
        assert client.admin.health()["overall_status"]
    refused(mutual["grpc"], ["tls_client_certificate"], **trusting())
    refused(mutual["grpc"], ["tls_client_certificate"], **trusting(), **showing("other-client"))
    with pytest.raises(vectron.InvalidArgumentError, match="both"):
        VectronClient(mutual["grpc"], **trusting(), tls_client_key=pem("client.key"))
