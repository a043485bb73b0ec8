#!/usr/bin/env python3
"""A whole cluster on this machine: placement nodes, workers and gateways as processes of their own, on loopback and free ports.

    ./dev cluster                    up with a demonstration: a worker is killed under load
    ./dev cluster up --data DIR      starts one; DIR holds all data, logs and what is known of the processes. "up" may be left out
    ./dev cluster start NAME --data DIR   starts a node that died, with its data and its addresses
    ./dev cluster down --data DIR    stops it; the data stays

With --tls every connection but those to the ports for metrics is encrypted, and the parts of the cluster know each other by certificates of a CA made for it in DIR/tls.

With --json one line of JSON is printed for programs, and nothing else on standard output. Several clusters can be up side by side.
"""
import argparse
import contextlib
import fcntl
import json
import os
import random
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time

import certificates  # beside this file
import cluster_demo

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
START_SECONDS = 120
STOP_SECONDS = 60
KILL_SECONDS = 10
INTERRUPTED = 130  # exit code, as shells have it
ETCD = "/usr/bin/etcd"  # of Debian's etcd-server; keeps the users where there is one
# Below the ports that the system gives to outgoing connections, so that a node that starts again finds its own free.
PORTS = range(20_000, 32_000)

# How many of what there are: flag -> what the nodes are called, how many when nothing is said, how many at least, what else is to be known.
COUNTED = {"--workers": ("worker", 3, 1, ""), "--search-workers": ("search", 0, 0, "; they take no votes and are for reads alone"),
           "--placement": ("placement", 3, 1, "; 1, 3 or 5"), "--gateways": ("gateway", 1, 1, ""), "--rerankers": ("reranker", 0, 0, "")}


class Failed(Exception):
    """Told to the user as it is."""


def free_ports(count):
    """Distinct ports of 127.0.0.1 that nobody listens on. They are held until all are found."""
    held, ports = [], []
    try:
        for port in random.SystemRandom().sample(PORTS, len(PORTS)):
            sock = socket.socket()
            held.append(sock)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
            if len(ports) == count:
                return ports
    finally:
        for sock in held:
            sock.close()
    raise Failed("there are no free ports")


def is_alive(node):
    """Whether the node's process runs: the number may have been given to another program since, or to another node."""
    try:
        with open(f"/proc/{node['pid']}/cmdline", "rb") as file:
            return os.fsencode(node["data"]) in file.read().split(b"\0")
    except OSError:
        return False


def send(node, number):
    with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
        os.kill(node["pid"], number)


@contextlib.contextmanager
def undisturbed():
    """Holds back the signals that end this script, so that it starts no process that it does not write down."""
    if threading.current_thread() is not threading.main_thread():  # which alone gets them
        yield
        return
    came = []
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in kept.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, lambda *_: came.append(True))
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


class Cluster:
    """The nodes of one data folder, as kept in its file cluster.json."""

    def __init__(self, data, binary):
        self.data = os.path.abspath(data)
        self.binary = binary
        self.nodes = []

    @property
    def path(self):
        return os.path.join(self.data, "cluster.json")

    @property
    def tls_folder(self):
        return os.path.join(self.data, "tls")

    @classmethod
    def load(cls, data, binary):
        cluster = cls(data, binary)
        try:
            cluster.nodes = cluster.read()
        except (FileNotFoundError, NotADirectoryError):
            raise Failed(f"there is no cluster in {cluster.data}") from None
        return cluster

    def read(self):
        """The nodes as the file has them."""
        with open(self.path, encoding="utf-8") as file:
            text = file.read()
        try:
            nodes = json.loads(text)["nodes"]
            home = os.path.dirname(os.path.dirname(nodes[0]["data"]))
        except (ValueError, TypeError, LookupError):
            raise Failed(f"{self.path} is not as this script writes it") from None
        if os.path.realpath(home) != os.path.realpath(self.data):
            raise Failed(f"{self.path} is that of the cluster in {home}, whose nodes know their folders by that name")
        return nodes

    @contextlib.contextmanager
    def alone(self):
        """One script at a time starts or stops nodes of the folder."""
        with open(os.path.join(self.data, "lock"), "w", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"waiting for another script that starts or stops nodes in {self.data}", file=sys.stderr, flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def changed(self):
        """Keeps what the body makes of the nodes, and what other scripts wrote about them since this one read the file."""
        with open(self.path + ".lock", "w", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.path.exists(self.path):
                for node in self.read():
                    self.named(node["name"]).update(node)
            yield
            self.save()

    def save(self):
        temporary = self.path + ".tmp"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump({"nodes": self.nodes}, file, indent=1)
        os.replace(temporary, self.path)

    def secret_file(self):
        path = os.path.join(self.data, "cluster.secret")
        if not os.path.exists(path):
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(32) + "\n")
        return path

    def addresses(self, count):
        """Gives an address at a time to the node of a name. Tests that give each node a network of its own have others."""
        ports = iter(free_ports(count))
        return lambda name: f"127.0.0.1:{next(ports)}"

    def command(self, node):
        """What to run for a node, by this program: it may have been built elsewhere since."""
        return node["command"] if node["role"] == "etcd" else [self.binary, *node["command"][1:]]

    def plan(self, args):
        """Names, addresses and command lines of a new cluster's nodes."""
        nodes = args.placement + args.workers + args.search_workers + args.gateways + args.rerankers
        address = self.addresses(3 * (nodes + 2))
        authority = certificates.Authority(self.tls_folder) if args.tls else None
        secret = [] if authority else ["--cluster-secret-file", self.secret_file()]
        threads = ["--threads", str(args.threads)]
        peers = [(number, address(f"placement-{number}"), address(f"placement-{number}")) for number in range(1, args.placement + 1)]
        peer_list = ",".join(f"{number}={grpc}/{raft}" for number, grpc, raft in peers)
        placement = ",".join(grpc for _, grpc, _ in peers)
        for number, grpc, raft in peers:
            self.add(f"placement-{number}", "placement", grpc, raft=raft, metrics=address(f"placement-{number}"), flags=[
                "--node", str(number), "--peers", peer_list, "--heartbeat-ms", str(args.heartbeat_ms),
                "--dead-after-ms", str(args.dead_after_ms), *secret, *threads], authority=authority)
        for number in range(1, args.workers + 1):
            grpc, raft = address(f"worker-{number}"), address(f"worker-{number}")
            self.add(f"worker-{number}", "worker", grpc, raft=raft, metrics=address(f"worker-{number}"), flags=[
                "--grpc", grpc, "--raft", raft, "--placement", placement, *secret, *threads], authority=authority)
        for number in range(1, args.search_workers + 1):
            grpc, raft = address(f"search-{number}"), address(f"search-{number}")
            self.add(f"search-{number}", "worker", grpc, raft=raft, metrics=address(f"search-{number}"), flags=[
                "--grpc", grpc, "--raft", raft, "--placement", placement, "--search-only", *secret, *threads],
                authority=authority)
        for number in range(1, args.rerankers + 1):
            grpc = address(f"reranker-{number}")
            self.add(f"reranker-{number}", "reranker", grpc, metrics=address(f"reranker-{number}"), flags=[
                "--grpc", grpc, "--placement", placement, *secret], authority=authority)
        credentials = ["--auth", args.auth]
        if args.auth == "on":
            grpc, http = address("auth-1"), address("auth-1")
            users = self.add_etcd(address("etcd-1"), address("etcd-1"), authority) if os.access(ETCD, os.X_OK) else []
            self.add("auth-1", "auth", grpc, http=http, metrics=address("auth-1"), flags=[
                "--grpc", grpc, "--http", http, "--placement", placement, *users, *args.auth_flag, *secret, *threads],
                     authority=authority)
            credentials += ["--auth-address", grpc]
        for number in range(1, args.gateways + 1):
            grpc, http = address(f"gateway-{number}"), address(f"gateway-{number}")
            self.add(f"gateway-{number}", "gateway", grpc, http=http, metrics=address(f"gateway-{number}"), flags=[
                "--grpc", grpc, "--http", http, "--placement", placement, *credentials, *secret, *threads],
                     authority=authority)

    def add_etcd(self, client, peer, authority):
        """The store of the users; what the Auth service is told of it."""
        self.add("etcd-1", "etcd", client, flags=[])
        node = self.nodes[-1]
        scheme, tls, told = "http", [], []
        if authority:
            scheme = "https"
            certificate, key = authority.issue("etcd-1")
            tls = ["--cert-file", certificate, "--key-file", key, "--trusted-ca-file", authority.ca, "--client-cert-auth",
                   "--peer-cert-file", certificate, "--peer-key-file", key, "--peer-trusted-ca-file", authority.ca, "--peer-client-cert-auth"]
            certificate, key = authority.issue("etcd-client")
            told = ["--etcd-tls-ca", authority.ca, "--etcd-tls-cert", certificate, "--etcd-tls-key", key]
        client_url, peer_url = f"{scheme}://{client}", f"{scheme}://{peer}"
        node["command"] = [ETCD, "--name", "etcd-1", "--data-dir", node["data"], "--listen-client-urls", client_url,
                           "--advertise-client-urls", client_url, "--listen-peer-urls", peer_url,
                           "--initial-advertise-peer-urls", peer_url, "--initial-cluster", f"etcd-1={peer_url}",
                           "--auto-compaction-retention", "1h", "--logger", "zap", "--log-level", "warn", *tls]
        return ["--etcd", client, *told]

    def add(self, name, role, grpc, *, flags, raft=None, http=None, metrics=None, authority=None):
        """One node. authority: signs the certificate that it shows."""
        folder = os.path.join(self.data, name)
        node = {"name": name, "role": role, "pid": 0, "grpc": grpc, "data": os.path.join(folder, "data")}
        if metrics:
            node["metrics"] = metrics
            flags = [*flags, "--metrics", metrics]
        if raft:
            node["raft"] = raft
        if http:
            node["http"] = http
        if authority:
            certificate, key = authority.issue(name)
            flags = [*flags, "--cluster-tls-cert", certificate, "--cluster-tls-key", key, "--cluster-tls-ca", authority.ca]
            if http:
                flags += ["--tls-cert", certificate, "--tls-key", key]
        node["command"] = [self.binary, role, "--data", node["data"], *flags]
        node["log"] = os.path.join(folder, "log")
        self.nodes.append(node)

    def named(self, name):
        for node in self.nodes:
            if node["name"] == name:
                return node
        raise Failed(f"there is no node '{name}'; there are {', '.join(node['name'] for node in self.nodes)}")

    def launch(self, node):
        """Starts the process; wait_ready tells when it serves."""
        os.makedirs(os.path.dirname(node["log"]), exist_ok=True)
        with undisturbed(), self.changed():
            node["out"] = os.path.join(os.path.dirname(node["log"]), "ready.json")
            with open(node["out"], "wb") as out, open(node["log"], "ab") as log:
                child = subprocess.Popen(self.command(node), stdin=subprocess.DEVNULL, stdout=out, stderr=log, start_new_session=True)
            node["pid"] = child.pid
        return child

    def wait_ready(self, node, child):
        if node["role"] == "etcd":
            return  # who needs it waits for it
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with open(node["out"], encoding="utf-8") as out:
                line = out.readline()
            if line.endswith("\n"):
                ready = json.loads(line)
                with self.changed():
                    node.update({key: ready[key] for key in ("grpc", "http", "id") if key in ready})
                return
            if child.poll() is not None:
                raise Failed(f"{node['name']} did not start; the end of its log:\n{tail(node['log'])}")
            time.sleep(0.02)
        raise Failed(f"{node['name']} was not ready within {START_SECONDS} s; see {node['log']}")

    def start_all(self):
        """Everything that does not run, or nothing: what it started is stopped again when one of it fails. All at once: placement needs a
        majority, workers need placement. Only new workers come one by one: placement numbers them as they come, and worker-N shall be its
        worker N."""
        missing = [node for node in self.nodes if not is_alive(node)]
        started = []
        try:
            for node in missing:
                started.append((node, self.launch(node)))
                if node["role"] == "worker" and "id" not in node:
                    self.wait_all(started)
                    started = []
            self.wait_all(started)
        except BaseException:
            self.stop_all(missing)
            raise

    def wait_all(self, started):
        for node, child in started:
            self.wait_ready(node, child)

    def stop_all(self, nodes=None):
        """These, or all. Gateways first, so that no client's request is cut off, placement last, so that workers can say goodbye."""
        for role in ("gateway", "reranker", "auth", "etcd", "worker", "placement"):
            running = [node for node in (self.nodes if nodes is None else nodes) if node["role"] == role and is_alive(node)]
            for node in running:
                send(node, signal.SIGTERM)
                send(node, signal.SIGCONT)  # one that was paused would not hear it
            deadline = time.monotonic() + STOP_SECONDS
            while running := [node for node in running if is_alive(node)]:
                if time.monotonic() > deadline + KILL_SECONDS:
                    raise Failed(f"{running[0]['name']}, process {running[0]['pid']}, does not end")
                if time.monotonic() > deadline:
                    for node in running:
                        send(node, signal.SIGKILL)
                time.sleep(0.02)

    def describe(self, node):
        return {key: node[key] for key in ("name", "role", "pid", "id", "grpc", "raft", "http", "metrics", "data", "log") if key in node}

    def ready(self):
        gateways = [node for node in self.nodes if node["role"] == "gateway"]
        tls = {"ca": os.path.join(self.tls_folder, "ca.crt")} if os.path.isdir(self.tls_folder) else {}
        return {"ready": True, **tls, "http": [node["http"] for node in gateways], "grpc": [node["grpc"] for node in gateways],
                "nodes": [self.describe(node) for node in self.nodes]}


def tail(path, lines=8):
    with open(path, encoding="utf-8", errors="replace") as log:
        return "".join(log.readlines()[-lines:])


def count_of(number, thing):
    return f"{number} {thing}{'' if number == 1 else 's'}"


def how_to_stop(data):
    script = os.path.relpath(os.path.join(ROOT, "dev"))
    return shlex.join([script if os.path.dirname(script) else f"./{script}", "cluster", "down", "--data", os.path.relpath(data)])


def say(args, text):
    print(text, file=sys.stderr if args.json else sys.stdout, flush=True)


def print_json(value):
    print(json.dumps(value, separators=(",", ":")), flush=True)


def check_program(binary):
    if not os.access(binary, os.X_OK):
        raise Failed(f"there is no program {binary}; ./dev build makes it")


def check_shape(cluster, args):
    """What a cluster consists of is decided when it is made: other wishes are not passed over in silence."""
    names = [node["name"].rsplit("-", 1)[0] for node in cluster.nodes]
    there = {flag: str(names.count(name)) for flag, (name, *_) in COUNTED.items()}
    there["--auth"] = "on" if "auth" in names else "off"
    if args.tls and not os.path.isdir(cluster.tls_folder):
        raise Failed(f"the cluster in {cluster.data} was made without --tls; another one wants a folder of its own")
    for flag, wanted in args.asked.items():
        if wanted != there[flag]:
            raise Failed(f"the cluster in {cluster.data} was made with {flag} {there[flag]}, not {wanted}; another one wants a folder of its own")


def up(args):
    check_program(args.binary)
    os.makedirs(args.data, exist_ok=True)
    cluster = Cluster(args.data, args.binary)
    with cluster.alone():
        if os.path.exists(cluster.path):
            cluster = Cluster.load(args.data, args.binary)
            check_shape(cluster, args)
            say(args, f"the cluster of {cluster.data}: starts what does not run")
        else:
            cluster.plan(args)
            say(args, f"a new cluster in {cluster.data}: {count_of(args.placement, 'placement node')}, "
                      f"{count_of(args.workers, 'worker')}, {count_of(args.gateways, 'gateway')}{', TLS everywhere' if args.tls else ''}")
        reason = cluster_demo.why_not(cluster)
        if args.demo and reason:
            raise Failed(reason)
        cluster.start_all()
    if not args.json:
        for node in cluster.nodes:
            addresses = [f"{key} {node[key]}" for key in ("http", "grpc", "metrics") if key in node]
            print(f"  {node['name']:<12} process {node['pid']:<8} {', '.join(addresses)}")
    if args.demo or (args.demo is None and not args.json and not reason):
        try:
            with contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout):
                cluster_demo.run(cluster, args)
        except RuntimeError as error:
            raise Failed(f"the demonstration failed: {error}") from None
    ready = cluster.ready()  # after the demonstration, which starts some nodes again
    if args.json:
        print_json(ready)
    else:
        print(f"\nThe cluster keeps running. A browser finds the console at {'https' if 'ca' in ready else 'http'}://{ready['http'][0]}/, "
              f"which is where the HTTP API is, too.\nLogs: {os.path.relpath(cluster.data)}/NODE/log. To stop it: {how_to_stop(cluster.data)}")


def start(args):
    check_program(args.binary)
    cluster = Cluster.load(args.data, args.binary)
    with cluster.alone():
        cluster = Cluster.load(args.data, args.binary)
        node = cluster.named(args.name)
        if is_alive(node):
            raise Failed(f"{node['name']} runs already, as process {node['pid']}")
        child = cluster.launch(node)
    cluster.wait_ready(node, child)
    if args.json:
        print_json(cluster.describe(node))
    else:
        print(f"{node['name']} runs as process {node['pid']}", flush=True)


def down(args):
    cluster = Cluster.load(args.data, args.binary)
    with cluster.alone():
        cluster = Cluster.load(args.data, args.binary)
        cluster.stop_all()
    if args.json:
        print_json({"stopped": True})
    else:
        print(f"stopped; the data stays in {cluster.data}")


def folder(text):
    if not text:
        raise argparse.ArgumentTypeError("no folder is named")
    return text


def at_least(least):
    def count(text):
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} on")
        return int(text)
    return count


def what_is_left(args):
    try:
        running = [node["name"] for node in Cluster.load(args.data, args.binary).nodes if is_alive(node)]
    except (Failed, OSError):
        running = []
    return f"{', '.join(running)} still run. To stop them: {how_to_stop(args.data)}" if running else "nothing of the cluster runs"


def parse(arguments):
    parser = argparse.ArgumentParser(prog="./dev cluster", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb")
    for name, function, about in (("up", up, "starts a cluster, or what of it does not run"),
                                  ("start", start, "starts one node that died"), ("down", down, "stops a cluster")):
        verb = verbs.add_parser(name, help=about)
        verb.set_defaults(function=function)
        verb.add_argument("--data", type=folder, default=os.path.join(ROOT, ".data", "cluster"), help="folder of the cluster")
        verb.add_argument("--binary", default=os.path.join(ROOT, "build", "release", "bin", "vectron"), help="the program")
        verb.add_argument("--json", action="store_true", help="one line of JSON for programs")
        if name == "start":
            verb.add_argument("name", help="such as worker-2")
        if name == "up":
            for flag, (_, usual, least, note) in COUNTED.items():
                verb.add_argument(flag, metavar="N", type=at_least(least), choices=(1, 3, 5) if flag == "--placement" else None,
                                  help=f"{usual} when not said{note}")
            verb.add_argument("--tls", action="store_true", help="TLS on every port but those for metrics; each node shows a certificate of the cluster's own CA")
            verb.add_argument("--auth", choices=("on", "off"), help="off when not said")
            verb.add_argument("--auth-flag", action="append", default=[], metavar="FLAG", help="one more flag of `vectron auth`; repeatable")
            verb.add_argument("--threads", type=int, default=0, help="of each process; 0: one per processor")
            verb.add_argument("--heartbeat-ms", type=int, default=1_000)
            verb.add_argument("--dead-after-ms", type=int, default=60_000)
            verb.add_argument("--set", help="folder of the demonstration's data set in place of the usual one")
            verb.add_argument("--demo", action=argparse.BooleanOptionalAction, default=None,
                              help="kill a worker under load and look what becomes of it")
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments = ["up", *arguments]
    args = parser.parse_args(arguments)
    if args.verb == "up":
        usual = {"--auth": "off", **{flag: number for flag, (_, number, *_) in COUNTED.items()}}
        args.asked = {}  # the others are as usual
        for flag, value in usual.items():
            name = flag[2:].replace("-", "_")
            if getattr(args, name) is None:
                setattr(args, name, value)
            else:
                args.asked[flag] = str(getattr(args, name))
    if args.verb == "up" and args.demo and (args.tls or args.auth == "on"):
        parser.error("the demonstration speaks plain HTTP without credentials: --demo goes with neither --tls nor --auth on")
    return args


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    args = parse(sys.argv[1:])
    try:
        args.function(args)
    except (Failed, OSError) as error:
        sys.exit(f"cluster: {error}")
    except KeyboardInterrupt:
        print(f"\ncluster: interrupted; {what_is_left(args)}", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    main()
