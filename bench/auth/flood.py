#!/usr/bin/env python3
"""What a flood of logins does to other requests: the p99 of searches alone, beside 200 clients that ask for /healthz once a second
each (what so many connections cost on this machine, the clients' own work included), and beside 200 that log in.

    python3 bench/auth/flood.py --binary build/release/bin/vectron [--seconds 10]

Starts a server of its own without limits of rate, so that every login costs a hash. Prints one line of JSON.
"""
import argparse
import asyncio
import json
import multiprocessing
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time

PASSWORD = "Correct-Horse-1"


def request(verb, path, body="", headers=()):
    lines = [f"{verb} {path} HTTP/1.1", "Host: h", f"Content-Length: {len(body)}", *headers, "", body]
    return "\r\n".join(lines).encode()


class Connection:
    """A keep-alive connection that asks one thing at a time."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def ask(self, data):
        self.socket.sendall(data)
        while b"\r\n\r\n" not in self.rest:
            self.rest += self.socket.recv(65536)
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        while len(self.rest) < size:
            self.rest += self.socket.recv(65536)
        body, self.rest = self.rest[:size], self.rest[size:]
        return int(head.split()[1]), body


def flood(port, clients, stop_at, logins):
    """Asks from many connections at once until the time has come, and tells the counts of what was answered."""
    counts = {}

    async def client(number):
        data = request("GET", "/healthz")
        if logins:
            data = request("POST", "/v1/users/login", json.dumps({"email": f"user{number}@example.org", "password": PASSWORD}))
        while time.time() < stop_at:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(data)
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split()[1])
            counts[status] = counts.get(status, 0) + 1
            writer.close()
            if status in (429, 200):
                await asyncio.sleep(1)  # as Retry-After says

    async def everyone():
        await asyncio.gather(*(client(number) for number in range(clients)))

    asyncio.run(everyone())
    print(json.dumps({"logins" if logins else "healthz": counts}), flush=True)


def measure(port, headers, seconds):
    rng = random.Random(7)
    connection = Connection(port)
    times = []
    end = time.time() + seconds
    while time.time() < end:
        vector = [rng.random() for _ in range(64)]
        data = request("POST", "/v1/collections/bench/points/search", json.dumps({"vector": vector, "topK": 10}), headers)
        begin = time.perf_counter()
        status, body = connection.ask(data)
        times.append(time.perf_counter() - begin)
        assert status == 200, body
        time.sleep(0.002)
    times.sort()
    return {"count": len(times), "p50_ms": round(times[len(times) // 2] * 1e3, 2), "p99_ms": round(times[len(times) * 99 // 100] * 1e3, 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, default=200)
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="vectron-flood-")
    data = os.path.join(folder, "data")
    with open(os.path.join(folder, "log"), "wb") as log:
        server = subprocess.Popen([args.binary, "dev", "--data", data, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0",
                                   "--auth-login-per-minute", "0", "--auth-register-per-minute", "0", "--rate-free-per-second", "0"],
                                  stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        port = int(json.loads(server.stdout.readline())["http"].rsplit(":", 1)[1])
        connection = Connection(port)
        account = json.dumps({"email": "user0@example.org", "password": PASSWORD})
        assert connection.ask(request("POST", "/v1/users/register", account))[0] == 200
        token = json.loads(connection.ask(request("POST", "/v1/users/login", account))[1])["jwtToken"]
        headers = [f"Authorization: Bearer {token}"]
        assert connection.ask(request("POST", "/v1/collections", json.dumps({"name": "bench", "dimension": 64}), headers))[0] == 200
        rng = random.Random(1)
        points = [{"id": str(i), "vector": [rng.random() for _ in range(64)]} for i in range(2000)]
        assert connection.ask(request("POST", "/v1/collections/bench/points", json.dumps({"points": points}), headers))[0] == 200
        measure(port, headers, 2)
        before = measure(port, headers, args.seconds)
        beside = {}
        for name, logins in (("healthz", False), ("logins", True)):
            crowd = multiprocessing.Process(target=flood, args=(port, args.clients, time.time() + args.seconds + 2, logins))
            crowd.start()
            time.sleep(1)
            beside[name] = measure(port, headers, args.seconds)
            crowd.join()
        ratio = round(beside["logins"]["p99_ms"] / max(before["p99_ms"], beside["healthz"]["p99_ms"]), 2)
        print(json.dumps({"alone": before, "beside": beside, "ratio_p99_logins_to_healthz": ratio}))
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
