"""Management calls against a scripted HTTP server: what is repeated, what is sent where, what is raised."""

import http.server
import json
import threading

import pytest

import vectron
from vectron import AsyncVectronClient, RetryPolicy, VectronClient

FAST = RetryPolicy(initial_backoff_seconds=0.001, max_backoff_seconds=0.002)


class Script(http.server.ThreadingHTTPServer):
    """Answers from a list of (status, headers, body); the last one repeats. A body of None never comes."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = []
        self.seen = []  # (verb, path, headers)
        self.over = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.server.seen.append((self.command, self.path, self.headers))
        self.rfile.read(int(self.headers.get("content-length", 0)))
        left = self.server.answers
        status, headers, body = left.pop(0) if len(left) > 1 else left[0]
        if body is None:
            self.server.over.wait()
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def start():
    started = []

    def make():
        script = Script()
        thread = threading.Thread(target=script.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        started.append((script, thread))
        return script

    yield make
    for script, thread in started:
        script.over.set()
        script.shutdown()
        script.server_close()
        thread.join()


def client(script, **options):
    return VectronClient("127.0.0.1:1", "vkey-secret", http_url=script.url, retry=FAST, **options)


BUSY = (429, {"Retry-After": "0"}, {"code": 8, "message": "busy"})
DOWN = (503, {}, {"code": 14, "message": "starting"})
GOOD = (200, {}, {"workers": [{"worker_id": "1"}]})


def test_the_credential_does_not_follow_a_redirect(start):
    gateway, elsewhere = start(), start()
    elsewhere.answers = [GOOD]
    gateway.answers = [(302, {"Location": f"http://localhost:{elsewhere.server_port}/v1/admin/workers"}, {})]
    with (
        client(gateway) as mine,
        pytest.raises(vectron.InvalidArgumentError, match=f"localhost:{elsewhere.server_port}.*http_url"),
    ):
        mine.admin.workers()
    assert elsewhere.seen == [] and len(gateway.seen) == 1
    assert gateway.seen[0][2]["authorization"] == "Bearer vkey-secret"


def test_reads_are_repeated(start):
    gateway = start()
    gateway.answers = [DOWN, BUSY, (502, {}, "a proxy"), GOOD]
    with client(gateway) as mine:
        assert mine.admin.workers() == [{"worker_id": "1"}]
    assert [verb for verb, _, _ in gateway.seen] == ["GET"] * 4


async def test_asyncio_does_the_same(start):
    gateway = start()
    gateway.answers = [DOWN, BUSY, GOOD]
    async with AsyncVectronClient("127.0.0.1:1", http_url=gateway.url, retry=FAST) as mine:
        assert await mine.admin.workers() == [{"worker_id": "1"}]
        gateway.answers = [DOWN]
        with pytest.raises(vectron.UnavailableError, match="starting"):
            await mine.admin.rebalance(dry_run=True)
        gateway.answers = [(200, {}, None)]
        with pytest.raises(vectron.DeadlineExceededError):
            await mine.admin.health(timeout=0.05)
    assert [verb for verb, _, _ in gateway.seen] == ["GET"] * 3 + ["POST", "GET"]


def test_a_change_is_repeated_only_when_it_did_not_begin(start):
    gateway = start()
    gateway.answers = [BUSY, DOWN]
    with client(gateway) as mine, pytest.raises(vectron.UnavailableError, match="starting"):
        mine.admin.rebalance()
    assert [verb for verb, _, _ in gateway.seen] == ["POST"] * 2


def test_the_wish_to_come_back_later_is_heard(start):
    gateway = start()
    gateway.answers = [(429, {"Retry-After": "7"}, {"code": 8, "message": "busy"})]
    with client(gateway, timeout_seconds=5) as mine, pytest.raises(vectron.ResourceExhaustedError) as caught:
        mine.admin.stats()
    assert caught.value.retry_after_seconds == 7 and len(gateway.seen) == 1


def test_no_answer_in_time_is_a_deadline_and_names_the_http_address(start):
    gateway = start()
    gateway.answers = [(200, {}, None)]
    with client(gateway, timeout_seconds=0.05) as mine, pytest.raises(vectron.DeadlineExceededError, match=gateway.url):
        mine.admin.stats()
    with client(gateway) as mine, pytest.raises(vectron.DeadlineExceededError, match=gateway.url):
        mine.admin.stats(timeout=0.05)


def test_who_cannot_be_reached_is_named_by_the_http_address():
    with VectronClient("127.0.0.1:1", http_url="http://127.0.0.1:1", retry=vectron.NO_RETRY) as mine:
        with pytest.raises(vectron.UnavailableError, match="HTTP address, http_url= .default port 8080"):
            mine.admin.health()


def test_what_is_no_vectron_is_told(start):
    gateway = start()
    gateway.answers = [(200, {}, None)]
    with client(gateway) as mine:
        gateway.answers = [(404, {}, "nothing here")]
        with pytest.raises(vectron.VectronError, match="HTTP 404 without a Vectron error"):
            mine.admin.health()
