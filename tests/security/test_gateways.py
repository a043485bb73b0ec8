"""Credentials in a cluster: two gateways, an Auth service over etcd, real processes. Standard library only."""
import http.client
import json
import os
import signal
import threading
import time
import unittest

from clients import patiently, settled
from cluster_process import ClusterProcess

PASSWORD = "Planted-Password-1"
BAR_SECONDS = 5  # until what has been revoked is refused everywhere
WAIT_SECONDS = 60
ALERT_SECONDS = 120  # two samples, 10 s apart, on a machine that does other things too


def call(address, verb, path, body=None, credential=None, headers=()):
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        sent = dict(headers)
        if credential:
            sent["Authorization"] = f"Bearer {credential}"
        connection.request(verb, path, json.dumps(body) if body is not None else None, sent)
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else {}
    except (OSError, http.client.HTTPException) as error:
        return 0, {"message": f"{type(error).__name__}: {error}"}
    finally:
        connection.close()


class Stalls(threading.Thread):
    """How long the machine has let nobody run here: by how much a thread that wants to run every few milliseconds came late."""
    TICK_SECONDS = 0.02

    def __init__(self):
        super().__init__(daemon=True)
        self.past = 0.0
        self.last = time.monotonic()
        self.start()

    def run(self):
        while True:
            time.sleep(self.TICK_SECONDS)
            late, now = self.late(), time.monotonic()
            self.past += late
            self.last = now

    def late(self):
        return max(0.0, time.monotonic() - self.last - 2 * self.TICK_SECONDS)

    def seconds(self):
        return self.past + self.late()


STALLS = Stalls()


def seconds_until(good, patience=WAIT_SECONDS):
    """How long it took, without the time in which nothing could run."""
    begin, stalled = time.monotonic(), STALLS.seconds()
    while not good():
        if time.monotonic() - begin > patience:
            raise AssertionError("it never came to be")
        time.sleep(0.05)
    return time.monotonic() - begin - (STALLS.seconds() - stalled)


class TwoGateways(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = ClusterProcess(workers=1, placement=1, gateways=2, flags=("--auth", "on", "--rerankers", "1"))
        cls.one, cls.two = cls.cluster.http
        secret = cls.cluster.nodes["auth-1"]["data"] + "/bootstrap.secret"
        with open(secret, encoding="utf-8") as file:
            bootstrap = file.read().strip()
        cls.account("admin@example.org", {"x-vectron-bootstrap": bootstrap})
        cls.account("user@example.org")
        cls.admin = cls.login("admin@example.org")
        cls.token = cls.login("user@example.org")

    @classmethod
    def tearDownClass(cls):
        cls.cluster.destroy()

    @classmethod
    def account(cls, email, headers=()):
        account = {"email": email, "password": PASSWORD}
        status, answer = settled(lambda: call(cls.one, "POST", "/v1/users/register", account, headers=headers))
        assert status in (200, 409), answer  # 409: an earlier try made it and its answer was lost

    @classmethod
    def login(cls, email, gateway=None):
        account = {"email": email, "password": PASSWORD}
        return patiently(lambda: call(gateway or cls.one, "POST", "/v1/users/login", account))["jwtToken"]

    def status(self, gateway, credential):
        return call(gateway, "GET", "/v1/collections", credential=credential)[0]

    def new_key(self):
        return patiently(lambda: call(self.one, "POST", "/v1/keys", {"name": "k"}, self.token))["fullKey"]

    def test_both_know_the_same_users_and_keys(self):
        key = self.new_key()
        seconds_until(lambda: self.status(self.two, key) == 200)
        collection = {"name": "c", "dimension": 2, "shardCount": 1, "replicationFactor": 1}
        seconds_until(lambda: call(self.two, "POST", "/v1/collections", collection, key)[0] in (200, 409))
        seconds_until(lambda: call(self.one, "GET", "/v1/collections/c/status", credential=self.token)[0] == 200)
        self.assertEqual(settled(lambda: call(self.one, "GET", "/v1/collections"))[0], 401)
        profile = patiently(lambda: call(self.two, "GET", "/v1/user/profile", credential=self.token))
        self.assertEqual(profile["user"]["email"], "user@example.org")
        self.assertEqual(settled(lambda: call(self.two, "GET", "/v1/admin/users", credential=self.token))[0], 403)

    def test_a_deleted_key_is_refused_by_both_in_time(self):
        key = self.new_key()
        for gateway in (self.one, self.two):
            seconds_until(lambda: self.status(gateway, key) == 200)
        gone = settled(lambda: call(self.one, "DELETE", f"/v1/keys/{key[:13]}", credential=self.token))
        self.assertIn(gone[0], (200, 404), gone)  # 404: done already, the answer was lost
        for gateway in (self.one, self.two):
            self.assertLess(seconds_until(lambda: self.status(gateway, key) == 401), BAR_SECONDS)

    def test_a_session_ends_everywhere_in_time(self):
        session = self.login("user@example.org", self.two)
        for gateway in (self.one, self.two):
            seconds_until(lambda: self.status(gateway, session) == 200)
        ended = settled(lambda: call(self.one, "POST", "/v1/auth/logout", {}, session))
        self.assertIn(ended[0], (200, 401), ended)  # 401: done already, the answer was lost
        for gateway in (self.one, self.two):
            self.assertLess(seconds_until(lambda: self.status(gateway, session) == 401), BAR_SECONDS)

    def test_without_the_auth_service_gateways_refuse_in_time_and_come_back(self):
        key = self.new_key()
        seconds_until(lambda: self.status(self.two, key) == 200)
        seconds_until(lambda: call(self.two, "GET", "/readyz")[0] == 200)
        os.kill(self.cluster.nodes["auth-1"]["pid"], signal.SIGSTOP)  # it keeps its connections and answers nothing
        try:
            self.assertLess(seconds_until(lambda: self.status(self.two, key) == 503), 2 * BAR_SECONDS)
            self.assertLess(seconds_until(lambda: call(self.two, "GET", "/readyz")[0] == 503), 2 * BAR_SECONDS)
            (problem,) = call(self.two, "GET", "/readyz")[1]["problems"]
            self.assertIn("Auth service", problem)
            self.assertNotIn(self.cluster.nodes["auth-1"]["grpc"], problem)
        finally:
            os.kill(self.cluster.nodes["auth-1"]["pid"], signal.SIGCONT)
        seconds_until(lambda: self.status(self.two, key) == 200)
        seconds_until(lambda: call(self.two, "GET", "/readyz")[0] == 200)

    def alerts(self, status):
        found = patiently(lambda: call(self.one, "GET", f"/v1/alerts?status={status}", credential=self.admin))["alerts"]
        return [alert for alert in found if (alert["rule"], alert["source"]) == ("service_down", "auth")]

    def alerts_on_disk(self):
        """The number of them, while nobody is let in to ask for it."""
        try:
            with open(os.path.join(self.cluster.nodes["gateway-1"]["data"], "management", "alerts"), "rb") as file:
                return file.read().count(b"auth does not answer")
        except FileNotFoundError:
            return 0

    def test_without_etcd_keys_go_on_for_seconds_then_all_is_refused_and_comes_back(self):
        key = self.new_key()
        for gateway in (self.one, self.two):
            seconds_until(lambda: self.status(gateway, key) == 200)
            seconds_until(lambda: call(gateway, "GET", "/readyz")[0] == 200)
        seconds_until(lambda: not self.alerts("active"), ALERT_SECONDS)
        alerts, known = self.alerts_on_disk(), {alert["id"] for alert in self.alerts("")}
        self.cluster.pause("etcd-1")  # it keeps its connections and answers nothing
        try:
            for gateway in (self.one, self.two):
                self.assertEqual(self.status(gateway, key), 200)
            for gateway in (self.one, self.two):
                self.assertLess(seconds_until(lambda: self.status(gateway, key) == 503), BAR_SECONDS)
            for gateway in (self.one, self.two):
                seconds_until(lambda: call(gateway, "GET", "/readyz")[0] == 503)
                (problem,) = call(gateway, "GET", "/readyz")[1]["problems"]
                self.assertIn("its store", problem)
            self.assertEqual(call(self.one, "POST", "/v1/users/login", {"email": "user@example.org", "password": PASSWORD})[0], 503)
            seconds_until(lambda: self.alerts_on_disk() > alerts, ALERT_SECONDS)
        finally:
            self.cluster.resume("etcd-1")
        for gateway in (self.one, self.two):
            seconds_until(lambda: self.status(gateway, key) == 200)
            seconds_until(lambda: call(gateway, "GET", "/readyz")[0] == 200)
        self.login("user@example.org")
        seconds_until(lambda: not self.alerts("active"), ALERT_SECONDS)
        self.assertEqual([alert["level"] for alert in self.alerts("resolved") if alert["id"] not in known], ["critical"])

    def do_everything(self, name, credential):
        """The whole data API as one caller."""
        def ok(verb, path, body=None):
            status, answer = settled(lambda: call(self.two, verb, path, body, credential))
            self.assertEqual(status, 200, (name, verb, path, answer))
            return answer
        ok("POST", "/v1/collections", {"name": name, "dimension": 2, "shardCount": 2, "replicationFactor": 1})
        points = [{"id": f"p{i}", "vector": [float(i), 1.0], "payload": {"title": f"pump {i}", "n": i}} for i in range(20)]
        ok("POST", f"/v1/collections/{name}/points", {"points": points})
        self.assertIn(name, [c if isinstance(c, str) else c["name"] for c in ok("GET", "/v1/collections")["collections"]])
        self.assertEqual(ok("GET", f"/v1/collections/{name}/status")["dimension"], 2)
        self.assertEqual(ok("GET", f"/v1/collections/{name}/points/p7")["point"]["payload"]["n"], 7)
        search = {"vector": [3.0, 1.0], "topK": 3, "query": "pump 3", "filter": {"must": [{"field": "n", "range": {"gte": 2}}]}}
        seconds_until(lambda: ok("POST", f"/v1/collections/{name}/points/search", search)["reranked"])  # one that is too slow is not waited for
        found = ok("POST", f"/v1/collections/{name}/points/search", search)
        self.assertEqual({hit["id"] for hit in found["results"]}, {"p2", "p3", "p4"})
        ok("POST", "/v1/feedback", {"collection": name, "queryId": found["queryId"], "feedbackItems": [{"resultId": "p3", "clicked": True}]})
        self.assertEqual(len(ok("GET", f"/v1/feedback?collection={name}")["records"]), 1)
        self.assertEqual(len(ok("POST", f"/v1/collections/{name}/points/scroll", {"limit": 50})["points"]), 20)
        ok("DELETE", f"/v1/collections/{name}/points/p7")
        self.assertEqual(settled(lambda: call(self.two, "GET", f"/v1/collections/{name}/points/p7", credential=credential))[0], 404)
        ok("DELETE", f"/v1/collections/{name}")

    def test_every_credential_does_everything_of_the_data_api(self):
        made = patiently(lambda: call(self.one, "POST", "/v1/keys", {"name": "all"}, self.token))
        token = patiently(lambda: call(self.one, "POST", "/v1/sdk-jwt", {"apiKeyId": made["keyInfo"]["keyPrefix"]}, self.token))
        seconds_until(lambda: self.status(self.two, made["fullKey"]) == 200)
        seconds_until(lambda: call(self.two, "POST", "/v1/collections", {"name": "ranked", "dimension": 2}, self.token)[0] in (200, 409))
        points = {"points": [{"id": "p", "vector": [1.0, 1.0]}]}
        patiently(lambda: call(self.two, "POST", "/v1/collections/ranked/points", points, self.token))
        search = {"vector": [1.0, 1.0], "query": "x"}
        seconds_until(lambda: call(self.two, "POST", "/v1/collections/ranked/points/search", search, self.token)[1].get("reranked"))
        for name, credential in (("login", self.token), ("sdk", token["sdkJwt"]), ("key", made["fullKey"])):
            with self.subTest(name):
                self.do_everything(name, credential)
        self.assertEqual(settled(lambda: call(self.two, "POST", "/v1/collections", {"name": "x", "dimension": 2}))[0], 401)

    def test_internal_ports_refuse_strangers(self):
        """internal_ports_test.cc calls every RPC of every part; here it is enough that the Auth service's HTTP port knows the policy."""
        auth = self.cluster.nodes["auth-1"]["http"]
        self.assertEqual(settled(lambda: call(auth, "GET", "/v1/admin/users"))[0], 401)
        patiently(lambda: call(auth, "GET", "/v1/user/profile", credential=self.token))


if __name__ == "__main__":
    unittest.main()
