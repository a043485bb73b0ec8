"""Interleaved calls and what comes of them."""

import statistics
import time

WARM_UP, ROUNDS = 200, 2_000


def timed(call, *arguments):
    start = time.perf_counter()
    result = call(*arguments)
    return time.perf_counter() - start, result


def report(language, dimension, times):
    raw, client = (statistics.median(times[kind]) * 1e6 for kind in ("raw", "client"))
    print(f"{language} {dimension}: raw {raw:.0f} us, client {client:.0f} us, ratio {client / raw:.3f}", flush=True)
