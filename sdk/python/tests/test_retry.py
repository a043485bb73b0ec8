"""When a call is repeated, and after which pause."""

import pytest

from vectron import NO_RETRY, RetryPolicy
from vectron.errors import make_error
from vectron.options import NAMED_WRITE, OTHER_WRITE, READ

POLICY = RetryPolicy(max_attempts=4, initial_backoff_seconds=0.1, max_backoff_seconds=1.0, jitter=lambda: 0.5)


def pause(code, kind, attempt=1, remaining=100.0, retry_after=None, policy=POLICY):
    return policy.pause_seconds(make_error(code, "", "h", retry_after), kind, attempt, remaining)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"])
def test_reads_and_named_writes_are_repeated(code):
    assert pause(code, READ) is not None
    assert pause(code, NAMED_WRITE) is not None


def test_a_write_that_may_have_happened_is_not_repeated():
    assert pause("UNAVAILABLE", OTHER_WRITE) is None
    assert pause("DEADLINE_EXCEEDED", OTHER_WRITE) is None
    assert pause("RESOURCE_EXHAUSTED", OTHER_WRITE) is not None


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "NOT_FOUND", "UNAUTHENTICATED", "INTERNAL", "DATA_LOSS", "ABORTED"])
def test_other_errors_are_not_repeated(code):
    assert pause(code, READ) is None


@pytest.mark.parametrize(
    "message",
    [
        "CLIENT: Sent message larger than max (5 vs. 4)",
        "SERVER: Received message larger than max (5 vs. 4)",
        "Decompressed message larger than max",
        "collection 'c': the hits hold more than 9 bytes of payloads and vectors, the most of one answer; ask for fewer",
    ],
)
def test_what_is_too_large_is_not_repeated(message):
    error = make_error("RESOURCE_EXHAUSTED", message, "h", retry_after_seconds=1.0)
    assert all(POLICY.pause_seconds(error, kind, 1, 100.0) is None for kind in (READ, NAMED_WRITE, OTHER_WRITE))
    assert "slow down" not in str(error)


def test_pauses_double_up_to_a_bound_and_end():
    pauses = [pause("UNAVAILABLE", READ, attempt) for attempt in (1, 2, 3, 4)]
    assert pauses == [pytest.approx(0.075), pytest.approx(0.15), pytest.approx(0.3), None]
    late = RetryPolicy(max_attempts=100, jitter=lambda: 0.999)
    assert pause("UNAVAILABLE", READ, 50, policy=late) <= late.max_backoff_seconds


def test_jitter_spreads_pauses():
    low = RetryPolicy(jitter=lambda: 0.0)
    high = RetryPolicy(jitter=lambda: 0.999)
    assert pause("UNAVAILABLE", READ, policy=low) < pause("UNAVAILABLE", READ, policy=high)


def test_the_servers_wish_is_honoured():
    assert pause("RESOURCE_EXHAUSTED", READ, retry_after=7.0) >= 7.0


def test_a_server_that_sets_the_pace_is_heeded_beyond_the_attempts():
    assert pause("RESOURCE_EXHAUSTED", NAMED_WRITE, attempt=50, retry_after=1.0) is not None
    assert pause("RESOURCE_EXHAUSTED", NAMED_WRITE, attempt=50) is None
    assert pause("UNAVAILABLE", NAMED_WRITE, attempt=50, retry_after=1.0) is None
    assert pause("RESOURCE_EXHAUSTED", READ, retry_after=1.0, policy=NO_RETRY) is None


def test_no_pause_outlasts_the_call():
    assert pause("RESOURCE_EXHAUSTED", READ, retry_after=7.0, remaining=5.0) is None
    assert pause("UNAVAILABLE", READ, remaining=0.01) is None
