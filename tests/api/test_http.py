"""What the HTTP port does with requests that are malformed, cut short or for nothing that exists."""

import gzip
import json
import os
import re
import socket

from vectron_server import INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, UNIMPLEMENTED, ServerTest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Http(ServerTest):
    def raw(self, data, shut=False):
        with socket.create_connection((self.server.host, self.server.port), timeout=30) as connection:
            connection.sendall(data)
            if shut:
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
            return answer

    def test_malformed_json_is_refused_with_its_position(self):
        name = self.make(2)
        for path in [f"/v1/collections/{name}/points", f"/v1/collections/{name}/points/search", "/v1/collections"]:
            for text in ["{", '{"a":', "[1,2", '{"a":1,}', "nul", '{"vector":[1,2]} x', '{"vector":[1 2]}', '"', "\x00", '{"a":"\n"}', "{'a':1}"]:
                with self.subTest(path=path, text=text):
                    self.refused(self.api.call("POST", path, text), 400, INVALID_ARGUMENT, "byte")
        for path in [f"/v1/collections/{name}/points", f"/v1/collections/{name}/points/search"]:
            for text in ["[]", "1", '"x"', "null", "true"]:
                with self.subTest(path=path, text=text):
                    self.refused(self.api.call("POST", path, text), 400, INVALID_ARGUMENT)

    def test_fields_of_the_wrong_type_are_refused_by_name(self):
        name = self.make(2)
        for text, field in [('{"points":{}}', "points"), ('{"points":[1]}', "points"), ('{"points":[{"id":1,"vector":[1,2]}]}', "id"),
                            ('{"points":[{"id":"a","vector":"x"}]}', "vector"), ('{"points":[{"id":"a","vector":{}}]}', "vector"),
                            ('{"points":[],"requestId":5}', "request_id"), ('{"points":[],"insertOnly":"yes"}', "insert_only")]:
            with self.subTest(text=text):
                self.refused(self.api.call("POST", f"/v1/collections/{name}/points", text), 400, INVALID_ARGUMENT, field)

    def test_compressed_bodies_are_refused(self):
        name = self.make(1)
        body = gzip.compress(b'{"points":[{"id":"a","vector":[1]}]}')
        answer = self.api.call("POST", f"/v1/collections/{name}/points", body, {"Content-Encoding": "gzip"})
        self.refused(answer, 415, INVALID_ARGUMENT, "Content-Encoding", "gzip")

    def test_a_truncated_body_writes_nothing(self):
        name = self.make(1)
        body = b'{"points":[{"id":"a","vector":[1]}]}'
        head = f"POST /v1/collections/{name}/points HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body) + 5}\r\n\r\n".encode()
        self.raw(head + body, shut=True)
        self.refused(self.api.get(name, "a"), 404, NOT_FOUND)

    def test_wrong_verbs_and_unknown_paths(self):
        self.refused(self.api.call("GET", "/v1/nothing"), 404, NOT_FOUND)
        self.refused(self.api.call("GET", "/favicon.ico"), 404, NOT_FOUND)
        self.refused(self.api.call("PUT", "/v1/collections", {}), 501, UNIMPLEMENTED)
        self.refused(self.api.call("GET", "/v1/collections/x/points/search/y"), 404, NOT_FOUND)
        self.assertEqual(self.api.call("POST", "/healthz", {}).status, 405)

    def test_a_malformed_head_is_refused_and_the_server_lives_on(self):
        for data in [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                     b"POST /v1/collections HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                     b"POST /v1/collections HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"]:
            with self.subTest(data=data):
                self.assertTrue(self.raw(data).startswith(b"HTTP/1.1 400 "))
        self.assertTrue(self.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 70000 + b"\r\n\r\n").startswith(b"HTTP/1.1 431 "))
        self.ok(self.api.call("GET", "/healthz"))

    def test_requests_sent_at_once_are_answered_in_order(self):
        one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        last = b"GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        answer = self.raw(one * 3 + last)
        self.assertEqual(re.findall(rb"HTTP/1\.1 (\d+)", answer), [b"200", b"200", b"200", b"404"])

    def test_a_chunked_body_is_a_body(self):
        body = b'{"name":"chunked","dimension":2}'
        chunks = b"".join(b"%x\r\n%s\r\n" % (1, body[i:i + 1]) for i in range(len(body))) + b"0\r\n\r\n"
        answer = self.raw(b"POST /v1/collections HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)

    def test_without_credentials_other_sites_pages_are_refused(self):
        name = self.make(1)
        body = '{"points":[{"id":"a","vector":[1]}]}'
        path = f"/v1/collections/{name}/points"
        own = f"http://{self.server.host}:{self.server.port}"
        for headers, word in [({"Host": "evil.example"}, "127.0.0.1"), ({"Origin": "https://evil.example", "Content-Type": "text/plain"}, "--allow-origin"),
                              ({"Origin": "null"}, "--allow-origin")]:
            with self.subTest(headers=headers):
                self.refused(self.api.call("POST", path, body, headers), 403, PERMISSION_DENIED, word)
        self.refused(self.api.get(name, "a"), 404, NOT_FOUND)
        self.assertEqual(self.api.call("GET", "/v1/collections", None, {"Host": "evil.example"}).status, 403)
        for headers in [{"Host": "localhost:1"}, {"Host": "[::1]:1"}, {"Origin": own}, {"Origin": "http://localhost:5173"}]:
            with self.subTest(headers=headers):
                self.ok(self.api.call("POST", path, body, headers))

    def test_without_allowed_origins_no_page_may_read_answers(self):
        answer = self.api.call("GET", "/v1/collections", None, {"Origin": "http://localhost:5173"})
        self.assertNotIn("Access-Control-Allow-Origin", answer.headers)

    def test_the_plain_routes(self):
        root = self.ok(self.api.call("GET", "/"))
        self.assertEqual(root["name"], "Vectron")
        self.assertEqual(self.ok(self.api.call("GET", "/healthz")), {"status": "ok"})
        self.assertEqual(self.ok(self.api.call("GET", "/readyz")), {"ready": True, "problems": []})
        document = self.ok(self.api.call("GET", root["api"]))
        self.assertTrue(document["openapi"].startswith("3."))
        self.assertIn("post", document["paths"]["/v1/collections/{collection}/points/search"])

    def test_metrics_count_what_happened(self):
        name = self.make(2, shardCount=2)
        self.ok(self.api.upsert(name, [{"id": f"p{i}", "vector": [1, 2]} for i in range(9)]))
        answer = self.api.call("GET", "/metrics")
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.headers["Content-Type"].startswith("text/plain"))
        samples = {}
        for line in answer.raw.decode().splitlines():
            if not line.startswith("#"):
                key, value = line.rsplit(" ", 1)
                samples[key] = float(value)
        self.assertEqual(samples['vectron_points{collection="%s"}' % name], 9)
        self.assertEqual(samples['vectron_shards_ready{collection="%s"}' % name], 2)
        self.assertGreaterEqual(samples['vectron_rpc_calls_total{method="vectron.v1.VectronService.Upsert",protocol="http",code="OK"}'], 1)
        self.assertGreater(samples["process_resident_memory_bytes"], 1e6)

    def test_metrics_are_documented(self):
        with open(os.path.join(ROOT, "docs", "metrics.md"), encoding="utf-8") as file:
            rows = re.findall(r"^\| `(\w+)` \| (\w+) \|.*\| (.*) \|$", file.read(), re.M)
        self.assertTrue(rows)
        documented = {name: (kind, about) for name, kind, about in rows}
        self.ok(self.api.create(self.name(), 2))
        text = self.api.call("GET", "/metrics").raw.decode()
        kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
        for name, about in re.findall(r"^# HELP (\w+) (.*)$", text, re.M):
            self.assertEqual(documented.get(name), (kinds[name], about), name)

    def test_zero_values_and_wide_integers_follow_the_mapping(self):
        name = self.make(1)
        self.ok(self.api.upsert(name, [{"id": "a", "vector": [0]}]))
        text = self.api.search(name, [0]).raw.decode()
        hit = json.loads(text)["results"][0]
        self.assertEqual(set(hit), {"id", "score", "payload", "vector", "version"})
        self.assertIsInstance(hit["version"], str)
