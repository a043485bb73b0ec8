"""A cluster in which everything is TLS: it works, strangers reach nothing, certificates change while it serves."""
import os
import socket
import ssl
import struct
import subprocess
import tempfile
import unittest

from clients import Api, patiently, settled
from cluster_process import BINARY, ClusterProcess
import certificates

PASSWORD = "Planted-Password-1"
# What an HTTP/2 client says first, with an empty frame of settings; the server answers with settings of its own.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">I", 0)[1:] + b"\x04\x00" + bytes(4)
SETTINGS = 4


def context(ca, certificate=None, key=None):
    made = ssl.create_default_context(cafile=ca)
    made.set_alpn_protocols(["h2"])
    if certificate:
        made.load_cert_chain(certificate, key)
    return made


def connect(address, tls):
    host, port = address.rsplit(":", 1)
    plain = socket.create_connection((host, int(port)), timeout=60)
    return plain if tls is None else tls.wrap_socket(plain, server_hostname=host)


def is_served(address, tls):
    """Whether the port speaks HTTP/2 with who comes like this."""
    try:
        with connect(address, tls) as sock:
            sock.sendall(PREFACE)
            head = b""
            while len(head) < 9 and (more := sock.recv(9 - len(head))):
                head += more
            return len(head) == 9 and head[3] == SETTINGS
    except TimeoutError:
        raise
    except OSError:  # errors of TLS among them
        return False


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = ClusterProcess(workers=3, placement=3, gateways=1, flags=("--tls", "--auth", "on", "--rerankers", "1"))
        cls.folder = os.path.dirname(cls.cluster.ca)
        cls.api = Api(cls.cluster.http, ca=cls.cluster.ca)
        with open(cls.cluster.nodes["auth-1"]["data"] + "/bootstrap.secret", encoding="utf-8") as file:
            bootstrap = {"x-vectron-bootstrap": file.read().strip()}
        account = {"email": "admin@example.org", "password": PASSWORD}
        status, answer = settled(lambda: cls.api.call("POST", "/v1/users/register", account, bootstrap))
        assert status in (200, 409), (answer, cls.cluster.logs())  # 409: an earlier try made it and its answer was lost
        cls.api.credential = patiently(lambda: cls.api.call("POST", "/v1/users/login", account))["jwtToken"]

    @classmethod
    def tearDownClass(cls):
        cls.api.close()
        cls.cluster.stop()
        cls.cluster.destroy()

    def own(self, name):
        return os.path.join(self.folder, name + ".crt"), os.path.join(self.folder, name + ".key")

    def internal_ports(self):
        """Of those nodes that only parts of the cluster may reach."""
        for node in self.cluster.nodes.values():
            for kind in ("grpc", "raft"):
                if node["role"] in ("placement", "worker", "reranker") and kind in node:
                    yield node["name"], node[kind]

    def check_that_it_works(self, collection):
        self.api.make(collection, 2, 3)
        for number in range(20):
            self.api.write(collection, f"p{number}", number)
        answer = patiently(lambda: self.api.search(collection, [1.0, 2.0, 3.0, 4.0], topK=20))
        self.assertEqual(len(answer["results"]), 20)

    def test_serves_writes_and_searches(self):
        self.check_that_it_works("one")

    def test_the_command_line_client_speaks_tls(self):
        self.check_that_it_works("ctl")
        command = [os.path.join(os.path.dirname(BINARY), "vectronctl"), "--host", self.cluster.grpc[0], "--tls-ca", self.cluster.ca, "--json", "list"]
        done = subprocess.run(command, env={**os.environ, "VECTRON_API_KEY": self.api.credential}, capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("ctl", done.stdout)

    def test_internal_ports_serve_parts_of_the_cluster_alone(self):
        stranger = certificates.Authority(tempfile.mkdtemp(dir=self.cluster.data), name="Another CA")
        ways = {"plain": None, "no certificate": context(self.cluster.ca), "another CA": context(self.cluster.ca, *stranger.issue("worker-1"))}
        ports = list(self.internal_ports())
        self.assertEqual(len(ports), 3 * 2 + 3 * 2 + 1)
        for name, address in ports:
            self.assertTrue(is_served(address, context(self.cluster.ca, *self.own("worker-1"))), name)
            for way, tls in ways.items():
                self.assertFalse(is_served(address, tls), f"{name} {address}: {way}")

    def test_ports_of_clients_refuse_plain_connections(self):
        gateway = self.cluster.nodes["gateway-1"]
        auth = self.cluster.nodes["auth-1"]
        self.assertEqual(Api([gateway["http"]]).call("GET", "/healthz")[0], 0)
        self.assertTrue(is_served(gateway["grpc"], context(self.cluster.ca)))
        for address in (gateway["grpc"], auth["grpc"]):
            self.assertFalse(is_served(address, None), address)
        self.assertTrue(is_served(auth["grpc"], context(self.cluster.ca)), "users have no certificates")
        stranger = certificates.Authority(tempfile.mkdtemp(dir=self.cluster.data), name="Another CA")
        self.assertFalse(is_served(auth["grpc"], context(self.cluster.ca, *stranger.issue("gateway-1"))))

    def shown(self, address):
        with connect(address, context(self.cluster.ca, *self.own("worker-1"))) as sock:
            return sock.getpeercert(binary_form=True)

    def test_takes_new_certificates_while_it_serves(self):
        nodes = self.cluster.nodes
        ports = [(nodes[name], kind) for name, kind in (("gateway-1", "grpc"), ("auth-1", "grpc"), ("worker-2", "grpc"), ("worker-2", "raft"),
                                                        ("placement-1", "grpc"), ("placement-1", "raft"), ("reranker-1", "grpc"))]
        before = {(node["name"], kind): self.shown(node[kind]) for node, kind in ports}
        authority = certificates.Authority(self.folder)
        for name in nodes:
            if name != "etcd-1":
                authority.issue(name)
        for node, kind in ports:
            self.cluster.until(f"a new certificate of {node['name']}", lambda: self.shown(node[kind]) != before[node["name"], kind])
        self.cluster.kill("worker-2")
        self.cluster.start("worker-2")  # connects anew, to all and from all
        self.check_that_it_works("two")


if __name__ == "__main__":
    unittest.main()
