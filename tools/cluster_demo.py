"""The demonstration of ./dev cluster: a worker is killed with SIGKILL while clients write and search, comes back and stands in
for another one that is killed. It fails, and says why, when a promise is broken."""
import http.client
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time

from crew import Crew  # beside this file

COLLECTION = "debian-packages"
LEDGER = "ledger"
DIMENSION = 8
WRITERS = 4
SEARCHERS = 2
CALM_SECONDS = 3
AFTER_SECONDS = 8
HELD_UP_SECONDS = 3  # the longest that a writer may wait for a new leader
CATCH_UP_SECONDS = 60
PATIENCE_SECONDS = 60  # for answers that a cluster has to give sooner or later


class Broken(RuntimeError):
    """A promise of the cluster was not kept; told to the user as it is."""


class Client:
    """One keep-alive connection to a gateway. Not for several threads."""

    def __init__(self, address):
        self.address = address
        self.connection = None

    def call(self, method, path, body=None, timeout=15):
        """Status and decoded answer; status 0 when there was no answer."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.address, timeout=timeout)
            headers = {"Content-Type": "application/json"}
            self.connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = self.connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.connection = None
            return 0, {"message": str(error)}


class Load(Crew):
    """Writers that remember what was acknowledged, and when; searchers that remember what failed."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.acknowledged = {}  # id -> number of the last acknowledged write
        self.attempted = {}  # id -> number of the last write sent
        self.write_times = [[] for _ in range(WRITERS)]  # of each writer, when its acknowledgements came
        self.write_errors = []
        self.search_times = []
        self.search_errors = []
        super().__init__([self.writer(number) for number in range(WRITERS)] + [self.searcher(number) for number in range(SEARCHERS)])

    def writer(self, number):
        # Above the numbers of an earlier run, so that its points pass for none of this one's.
        client, rng, counter = Client(self.gateway), random.Random(number), itertools.count(int(time.time() * 1_000))

        def step():
            count = next(counter)
            point = f"w{number}-{rng.randrange(200)}"
            self.attempted[point] = count
            body = {"points": [{"id": point, "vector": [float(count)] * DIMENSION, "payload": {"number": count}}]}
            status, answer = client.call("POST", f"/v1/collections/{LEDGER}/points", body)
            if status == 200:
                self.acknowledged[point] = count
                self.write_times[number].append(time.monotonic())
            else:
                self.write_errors.append(answer.get("message", ""))
        return step

    def searcher(self, number):
        client, rng = Client(self.gateway), random.Random(number)

        def step():
            body = {"vector": [rng.random() for _ in range(DIMENSION)], "topK": 5, "consistency": "EVENTUAL"}
            status, answer = client.call("POST", f"/v1/collections/{LEDGER}/points/search", body)
            if status == 200:
                self.search_times.append(time.monotonic())
            else:
                self.search_errors.append(answer.get("message", ""))
        return step

    def lost(self, deadline):
        """Acknowledged writes that cannot be read: those whose point holds an older number, or nothing. None when some point
        could not be read at all until the deadline."""
        client, lost = Client(self.gateway), []
        for point, number in self.acknowledged.items():
            while True:
                status, answer = client.call("GET", f"/v1/collections/{LEDGER}/points/{point}")
                if status in (200, 404):
                    break
                if time.monotonic() > deadline:
                    return None
                time.sleep(0.1)
            found = answer["point"]["payload"]["number"] if status == 200 else None
            if found is None or found < number:
                lost.append((point, number, found))
        return lost


def longest_gap(times, since, until):
    """Seconds of the longest silence between the two moments."""
    points = [since] + [moment for moment in times if since <= moment <= until] + [until]
    return max(b - a for a, b in zip(points, points[1:]))


def patiently(what, call, good):
    """The answer of a call that is good, or says "not now" until it is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not good(*(found := call())):
        status, answer = found
        if time.monotonic() > deadline or status not in (0, 200, 400, 429, 503, 504):
            raise RuntimeError(f"{what}: {answer.get('message', answer)}")
        time.sleep(0.1)
    return found[1]


def make_ledger(client, replicas):
    body = {"name": LEDGER, "dimension": DIMENSION, "shardCount": 3, "replicationFactor": replicas}
    patiently("the collection cannot be made", lambda: client.call("POST", "/v1/collections", body),
              lambda status, _: status in (200, 409))


def leaders_of(client, collection):
    """Worker ids, one for each shard."""
    def known(status, answer):
        return status == 200 and all(int(shard["leaderId"]) for shard in answer["shards"])
    status = patiently("not every shard has a leader", lambda: client.call("GET", f"/v1/collections/{collection}/status"), known)
    return [int(shard["leaderId"]) for shard in status["shards"]]


def broken_promises(held_up, lost, search_errors):
    """What is to be said against the cluster. lost: as Load.lost, with the returned worker standing in for another one."""
    broken = []
    if held_up > HELD_UP_SECONDS:
        broken.append(f"writes were held up for {held_up:.2f} s, more than {HELD_UP_SECONDS} s, by the end of one worker")
    if search_errors:
        broken.append(f"{len(search_errors)} searches failed, such as: {search_errors[0]}")
    if lost is None:
        broken.append("the killed worker did not catch up: with another worker down, not everything could be read "
                      f"within {CATCH_UP_SECONDS} s")
    elif lost:
        broken.append(f"{len(lost)} acknowledged writes were lost, such as (point, number written, number found): {lost[:3]}")
    return broken


def load_data(cluster, gateway, args):
    import demo_data  # beside this file
    data_set = demo_data.find_or_make(args.set, os.path.join(args.data, "set"))
    if data_set is None:
        raise RuntimeError(f"there is no data set in {args.set}")
    client = Client(gateway["http"])
    status, answer = client.call("GET", f"/v1/collections/{COLLECTION}/status")
    if status == 200 and int(answer["pointCount"]) == data_set["count"]:
        print(f"collection '{COLLECTION}' holds its {data_set['count']:,} points already")
        return
    control = os.path.join(os.path.dirname(args.binary), "vectronctl")
    command = [control, "--host", gateway["grpc"], "import", COLLECTION, os.path.join(data_set["folder"], "base.f16.gz"),
               "--payload", os.path.join(data_set["folder"], "payload.jsonl.gz"), "--create", "--distance", "cosine",
               "--shards", "3", "--replicas", str(min(3, args.workers))]
    if subprocess.run(command, stdout=sys.stdout, check=False).returncode != 0:
        raise RuntimeError("the import failed")


def why_not(cluster):
    """Why there can be no demonstration on this cluster; None when there can."""
    roles = [node["role"] for node in cluster.nodes]
    if os.path.isdir(cluster.tls_folder) or "auth" in roles:
        return "the demonstration speaks plain HTTP without credentials; this cluster wants more"
    if roles.count("worker") < 3:
        return "the demonstration kills two of three workers, one after the other; this cluster has fewer"
    return None


def run(cluster, args):
    gateway = next(node for node in cluster.nodes if node["role"] == "gateway")
    client = Client(gateway["http"])
    print("\n==> data, three copies of each shard")
    load_data(cluster, gateway, args)
    make_ledger(client, min(3, args.workers))

    print(f"\n==> {WRITERS} writers and {SEARCHERS} searchers; a worker is killed with SIGKILL")
    with Load(gateway["http"]) as load:
        time.sleep(CALM_SECONDS)
        leaders = leaders_of(client, LEDGER)
        victim = next(node for node in cluster.nodes if node["role"] == "worker" and node.get("id") == leaders[0])
        print(f"killing {victim['name']}, which leads {leaders.count(leaders[0])} of {len(leaders)} shards")
        killed = time.monotonic()
        os.kill(victim["pid"], signal.SIGKILL)
        time.sleep(AFTER_SECONDS)
        cluster.wait_ready(victim, cluster.launch(victim))
        print(f"{victim['name']} is back as process {victim['pid']}")
        time.sleep(CALM_SECONDS)
        end = time.monotonic()
    other = next(node for node in cluster.nodes if node["role"] == "worker" and node is not victim)
    print(f"killing {other['name']}: two of three copies are left, so a majority needs {victim['name']}")
    os.kill(other["pid"], signal.SIGKILL)
    lost = load.lost(time.monotonic() + CATCH_UP_SECONDS)
    cluster.wait_ready(other, cluster.launch(other))
    held_up = max(longest_gap(times, killed, end) for times in load.write_times)
    print(f"  acknowledged writes        {sum(len(times) for times in load.write_times):>8,}")
    print(f"  of them lost               {'?' if lost is None else f'{len(lost):,}':>8}")
    print(f"  refused or unsure writes   {len(load.write_errors):>8,}")
    print(f"  longest wait of a writer   {held_up:>8.2f} s after the kill")
    print(f"  searches answered          {len(load.search_times):>8,}")
    print(f"  searches that failed       {len(load.search_errors):>8,}")
    print(f"  longest wait for a search  {longest_gap(load.search_times, killed, end):>8.2f} s after the kill")
    print(f"  {victim['name']} caught up         {'no' if lost is None else 'yes':>8}")
    broken = broken_promises(held_up, lost, load.search_errors)
    if broken:
        raise Broken("; ".join(broken))
