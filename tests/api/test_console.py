"""The console's static files at the HTTP port."""

import gzip
import html.parser
import os
import shutil
import socket
import tempfile
import unittest
import urllib.parse

from vectron_server import NOT_FOUND, Server, StartFailed

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PAGE = b'<!doctype html><base href="./"><meta name="csp-nonce" content="__CSP_NONCE__"><script src="assets/app-0123abcd.js"></script>'
SCRIPT = b"console.log('hello');" * 100


class OneServer(unittest.TestCase):
    """Tests of a server in `folder`, which a class starts as `server` and talks to by `api`."""

    @classmethod
    def tearDownClass(cls):
        cls.api.close()
        code = cls.server.stop()
        shutil.rmtree(cls.folder, ignore_errors=True)
        assert code == 0


class Console(OneServer):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="vectron-api-")
        files = os.path.join(cls.folder, "console")
        os.makedirs(os.path.join(files, "assets"))
        for name, body in [("index.html", PAGE), ("assets/app-0123abcd.js", SCRIPT),
                           ("assets/app-0123abcd.js.gz", gzip.compress(SCRIPT)), ("favicon.svg", b"<svg/>")]:
            with open(os.path.join(files, name), "wb") as file:
                file.write(body)
        with open(os.path.join(cls.folder, "secret"), "w") as file:
            file.write("secret")
        cls.server = Server(os.path.join(cls.folder, "data"), args=["--console", files])
        cls.api = cls.server.client()

    def get(self, path, headers=None):
        return self.api.call("GET", path, headers=headers)

    def test_a_browser_gets_the_page_and_a_program_what_the_server_is(self):
        page = self.get("/", BROWSER)
        self.assertEqual((page.status, page.headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        self.assertIn(b"assets/app-0123abcd.js", page.raw)
        self.assertNotIn(b"__CSP_NONCE__", page.raw)
        self.assertEqual(self.get("/").json["name"], "Vectron")
        self.assertEqual(self.get("/").json["credentials"], "off")
        self.assertEqual(self.get("/collections/docs", BROWSER).status, 200)
        self.assertEqual(self.get("/collections/docs").code, NOT_FOUND)

    def test_the_interface_stays_what_it_is(self):
        self.assertEqual(self.get("/v1/nothing", BROWSER).code, NOT_FOUND)
        self.assertEqual(self.get("/v1/feedback/x", BROWSER).code, NOT_FOUND)
        self.assertEqual(self.get("/v1/collections", BROWSER).json, {"collections": []})
        self.assertEqual(self.api.call("POST", "/collections").status, 404)
        self.assertEqual(self.get("/healthz", BROWSER).json, {"status": "ok"})

    def test_files_are_compressed_and_cached(self):
        script = self.get("/assets/app-0123abcd.js", {"Accept-Encoding": "gzip, deflate, br"})
        self.assertEqual(script.headers["Content-Encoding"], "gzip")
        self.assertEqual(gzip.decompress(script.raw), SCRIPT)
        self.assertIn("immutable", script.headers["Cache-Control"])
        self.assertEqual(self.get("/assets/app-0123abcd.js").raw, SCRIPT)
        icon = self.get("/favicon.svg")
        self.assertEqual(icon.headers["Content-Type"], "image/svg+xml")
        again = self.get("/favicon.svg", {"If-None-Match": icon.headers["ETag"]})
        self.assertEqual((again.status, again.raw), (304, b""))
        head = self.api.call("HEAD", "/favicon.svg")
        self.assertEqual((head.status, head.headers["Content-Length"], head.raw), (200, "6", b""))

    def test_every_answer_has_a_strict_policy(self):
        for path in ["/", "/assets/app-0123abcd.js", "/favicon.svg"]:
            headers = self.get(path, BROWSER).headers
            self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
            self.assertNotIn("unsafe", headers["Content-Security-Policy"])
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
            self.assertEqual(headers["X-Frame-Options"], "DENY")
        page = self.get("/", BROWSER)
        nonce = page.raw.split(b'content="')[1].split(b'"')[0].decode()
        self.assertIn(f"'nonce-{nonce}'", page.headers["Content-Security-Policy"])

    def test_nothing_outside_is_served(self):
        for target in ["/../secret", "/assets/../../secret", "/%2e%2e/secret", "/..%2fsecret", "//secret", "/assets/%2e%2e/secret"]:
            with socket.create_connection((self.server.host, self.server.port)) as connection:
                connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                answer = b""
                while part := connection.recv(65536):
                    answer += part
            self.assertTrue(answer.startswith(b"HTTP/1.1 40"), (target, answer[:100]))
            self.assertNotIn(b"\r\n\r\nsecret", answer)

    def test_the_page_works_below_a_prefix(self):
        self.assertIn(b'<base href="/tools/vectron/">', self.get("/", {**BROWSER, "X-Forwarded-Prefix": "/tools/vectron"}).raw)
        self.assertIn(b'<base href="./">', self.get("/", {**BROWSER, "X-Forwarded-Prefix": "//evil"}).raw)
        self.assertIn(b'<base href="../">', self.get("/collections/docs", BROWSER).raw)

    def test_a_folder_without_a_page_is_refused_at_the_start(self):
        with self.assertRaises(StartFailed) as failed:
            Server(os.path.join(self.folder, "other"), args=["--console", os.path.join(self.folder, "data")])
        self.assertIn("index.html", failed.exception.log)

BUILT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "console", "dist")


class Files(html.parser.HTMLParser):
    """The addresses of scripts, styles and icons of a page, as a browser resolves them."""

    def __init__(self, url):
        super().__init__()
        self.base, self.found = url, []

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        if tag == "base":
            self.base = urllib.parse.urljoin(self.base, named["href"])
        elif tag in ("script", "link"):
            self.found.append(urllib.parse.urljoin(self.base, named.get("src") or named["href"]))


@unittest.skipUnless(os.path.exists(os.path.join(BUILT, "index.html")), "NOT TESTED: the console is not built (./dev console build)")
class BuiltConsole(OneServer):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="vectron-api-")
        cls.server = Server(os.path.join(cls.folder, "data"), args=["--console", BUILT])
        cls.api = cls.server.client()

    def test_its_page_finds_its_files_at_any_path_below_any_prefix(self):
        for path in ("/", "/collections", "/collections/docs", "/a/b/c"):
            for prefix, told in (("", None), ("/hidden", None), ("/tools/vectron", "/tools/vectron")):
                with self.subTest(path=path, prefix=prefix):
                    page = self.api.call("GET", path, headers={**BROWSER, **({"X-Forwarded-Prefix": told} if told else {})})
                    files = Files(f"http://h{prefix}{path}")
                    files.feed(page.raw.decode())
                    self.assertGreater(len(files.found), 3)
                    for url in files.found:
                        self.assertTrue(url.startswith(f"http://h{prefix}/"), url)
                        answer = self.api.call("GET", url.removeprefix(f"http://h{prefix}"))
                        self.assertEqual(answer.status, 200, url)
                        if "/assets/" in url:
                            self.assertIn("immutable", answer.headers["Cache-Control"], url)


if __name__ == "__main__":
    unittest.main()
