"""A network for a cluster on one machine in which every node has a namespace with an address of its own, and any path can be cut or made
late in one direction. No privilege is needed where the system lets users have namespaces, else root. Standard library, iproute2 and
nftables only.

All namespaces belong to one process (`run`): with its end, whatever the reason, they and all processes in them are gone.
"""
import collections
import os
import subprocess
import sys

import delayer
from cluster_process import SOURCE, ClusterProcess
import cluster as cluster_script  # the one that users start clusters with, as a module

INSIDE = "VECTRON_INSIDE_NAMESPACES"
ALONE = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
HUB = "hub"  # where the tests and the gateways are
NOWHERE = bytes.fromhex("02000000ffff")
LOSS_PERCENT = 30
DELAYER = os.path.join(SOURCE, "tests", "cluster", "delayer.py")


def run(test):
    """Runs a test in namespaces of its own. True: it has been run (and passed); False: this is inside, go on. Skips, loudly, where
    that is not allowed."""
    if os.environ.get(INSIDE):
        return False
    for unshare in (["unshare", "--user", "--map-root-user", *ALONE], ["unshare", *ALONE]):
        probe = [*unshare, "sh", "-c", "mount -t tmpfs none /run && mkdir /run/netns && ip netns add probe"]
        try:
            allowed = subprocess.run(probe, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=False).returncode == 0
        except FileNotFoundError:
            allowed = False
        if allowed:
            break
    else:
        print(f"SKIPPED: this machine allows no network namespaces; {test.id()} was not run", flush=True)
        test.skipTest("no network namespaces")
    command = ["setpriv", "--pdeathsig", "KILL", *unshare, sys.executable, "-B", "-m", "unittest", test.id()]
    done = subprocess.run(command, env={**os.environ, INSIDE: "1"}, check=False)
    test.assertEqual(done.returncode, 0, "it failed inside its namespaces; see above")
    return True


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, timeout=30)


def _works(*command):
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30, check=False).returncode == 0
    except FileNotFoundError:
        return False


class Network:
    """The hub and one namespace per node, each at the end of a cable that leads to the hub's bridge. Who has which hardware address is
    written down everywhere, so that a path is cut without a trace by a wrong entry at its sender, and led through the delayer, which is
    at the end of one more cable, by another one."""

    def __init__(self, names):
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
        os.mkdir("/run/netns")
        self.names = [HUB, *names]
        self.cuts = collections.Counter()
        self.delays = collections.Counter()
        _ip("link", "set", "lo", "up")
        _ip("link", "add", "eth0", "address", self._hardware(HUB).hex(":"), "type", "bridge")
        _ip("addr", "add", f"{self.address(HUB)}/24", "dev", "eth0")
        _ip("link", "set", "eth0", "up")
        for number, name in enumerate(names):
            _ip("netns", "add", name)
            _ip("link", "add", f"cable{number}", "type", "veth", "peer", "name", "eth0", "address",
                self._hardware(name).hex(":"), "netns", name)
            _ip("link", "set", f"cable{number}", "master", "eth0", "up")
            _ip("-n", name, "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        for source in self.names:
            for target in self.names:
                if source != target:
                    self._tell(source, target, self._hardware(target))
        self.can_lose = self._can_lose()
        self.delayer = self._start_delayer()

    @staticmethod
    def _start_delayer():
        """Its hardware address is not that of its cable's end: the system would take what comes there for its own."""
        _ip("link", "add", "late0", "type", "veth", "peer", "name", "late1")
        _ip("link", "set", "late0", "master", "eth0", "up")
        _ip("link", "set", "late1", "up", "promisc", "on")
        process = subprocess.Popen([sys.executable, "-B", DELAYER, "late1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if process.stdout.readline() != "ready\n":
            raise AssertionError("the delayer did not start; see above")
        return process

    def close(self):
        """Ends the delayer; how many frames it held up. It fails when it ended by itself."""
        out, _ = self.delayer.communicate(timeout=30)
        return int(out)

    def address(self, name):
        return f"10.77.0.{self.names.index(name) + 1}"

    def _hardware(self, name):
        return delayer.hardware(self.names.index(name) + 1)

    def _tell(self, source, target, hardware):
        where = () if source == HUB else ("-n", source)
        _ip(*where, "neigh", "replace", self.address(target), "lladdr", hardware.hex(":"), "dev", "eth0", "nud", "permanent")

    def _next_hop(self, source, target):
        path = (source, target)
        return NOWHERE if self.cuts[path] else delayer.HARDWARE if self.delays[path] else self._hardware(target)

    def _change(self, faults, source, target, by):
        before = self._next_hop(source, target)
        faults[source, target] += by
        after = self._next_hop(source, target)
        if after != before:
            self._tell(source, target, after)

    def cut(self, source, target):
        """Loses all packets from one to the other. As many heals as cuts restore the path."""
        self._change(self.cuts, source, target, 1)

    def heal(self, source, target):
        self._change(self.cuts, source, target, -1)

    def delay(self, source, target):
        """Holds up all packets from one to the other, each for another time, so that some overtake others. As many calls of hurry as of
        this make the path as fast as before."""
        self._change(self.delays, source, target, 1)

    def hurry(self, source, target):
        self._change(self.delays, source, target, -1)

    def listen(self, target):
        """A process that prints the first datagram which gets to a node."""
        return self._receiver(target, "s.recv(99).decode()")

    def count(self, target):
        """A process that prints how many datagrams get to a node before one that says `end`."""
        return self._receiver(target, "sum(1 for _ in iter(lambda: s.recv(99), b'end'))")

    def travel(self, target):
        """A process that prints how many seconds a datagram with the time of its beginning takes to a node."""
        return self._receiver(target, "-float(s.recv(99)) + time.monotonic()")

    def drain(self, target):
        """A process that prints how many bytes of a stream get to a node, and their checksum."""
        return self._receiver(target, "'%d %d' % (len(all := s.accept()[0].makefile('rb').read()), zlib.crc32(all))", stream=True)

    def _receiver(self, target, what, stream=False):
        program = (f"import socket, time, zlib; s = socket.socket(type=socket.{'SOCK_STREAM' if stream else 'SOCK_DGRAM'}); s.bind(('', 9)); "
                   f"s.settimeout(30); {'s.listen(); ' if stream else ''}print(flush=True); print({what})")
        receiver = subprocess.Popen([*self.inside(target), sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        receiver.stdout.readline()
        return receiver

    def send(self, source, target, text, times=1):
        self._sender(source, f"s = socket.socket(type=socket.SOCK_DGRAM); "
                             f"[s.sendto(b'{text}', ('{self.address(target)}', 9)) for _ in range({times})]")

    def send_time(self, source, target):
        self._sender(source, f"import time; s = socket.socket(type=socket.SOCK_DGRAM); "
                             f"s.sendto(str(time.monotonic()).encode(), ('{self.address(target)}', 9))")

    def send_stream(self, source, target, seed, size):
        """Of so many bytes, which the seed says."""
        self._sender(source, f"import random; s = socket.create_connection(('{self.address(target)}', 9), timeout=30); "
                             f"s.sendall(random.Random({seed}).randbytes({size})); s.close()")

    def _sender(self, source, program):
        subprocess.run([*self.inside(source), sys.executable, "-c", f"import socket; {program}"], check=True)

    @staticmethod
    def inside(name):
        """What to put before a command to run it in a node's namespace."""
        return [] if name == HUB else ["nsenter", f"--net=/run/netns/{name}"]

    def throttle(self, name):
        """Sends what the node has to say through a narrow pipe, with a queue that overflows."""
        subprocess.run(["tc", "-n", name, "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "1mbit", "burst", "8kb", "latency",
                        "200ms"], check=True)

    def free(self, name):
        """Ends a throttle."""
        subprocess.run(["tc", "-n", name, "qdisc", "del", "dev", "eth0", "root"], check=True)

    @staticmethod
    def _loss_rules(device):
        return (f"table netdev loss {{ chain arrival {{ type filter hook ingress device \"{device}\" priority 0; "
                f"numgen random mod 100 < {LOSS_PERCENT} drop; }}; }}")

    def _can_lose(self):
        name = self.names[1]
        return _works(*self.inside(name), "nft", self._loss_rules("eth0")) and _works(*self.inside(name), "nft", "delete table netdev loss")

    def lose(self, name):
        """Loses 30 % of the packets that get to the node. Needs can_lose."""
        subprocess.run([*self.inside(name), "nft", self._loss_rules("eth0")], check=True)

    def lose_no_more(self, name):
        subprocess.run([*self.inside(name), "nft", "delete table netdev loss"], check=True)


class NamespacedScript(cluster_script.Cluster):
    """The cluster script, with the nodes' processes in their namespaces. Gateways are in the hub, on loopback."""

    network = None

    def __init__(self, data, binary):
        super().__init__(data, binary)
        self.processes = []  # kept, as Python wants those that run to be

    def addresses(self, count):
        ports = iter(range(20_000, 20_000 + count))
        return lambda name: f"{'127.0.0.1' if name.startswith('gateway') else self.network.address(name)}:{next(ports)}"

    def command(self, node):
        return [*self.network.inside(HUB if node["role"] == "gateway" else node["name"]), *super().command(node)]

    def launch(self, node):
        child = super().launch(node)
        self.processes.append(child)
        return child


class NamespacedCluster(ClusterProcess):
    """A cluster whose nodes have a network between them."""

    def _up(self, *flags):
        args = cluster_script.parse(["up", "--data", self.data, *flags])
        self.network = Network([f"{role}-{number + 1}" for role, count in (("placement", args.placement), ("worker", args.workers))
                                for number in range(count)])
        self.script = NamespacedScript(self.data, args.binary)
        self.script.network = self.network
        self.children = {}  # started, and not waited for yet
        self.script.plan(args)
        self.script.start_all()
        return self.script.ready()

    def launch(self, name):
        """Starts a node and does not wait for it: it may be cut off."""
        node = self.script.named(name)
        self.children[name] = self.script.launch(node)
        self.nodes[name] = self.script.describe(node)

    def wait_ready(self, name):
        node = self.script.named(name)
        self.script.wait_ready(node, self.children.pop(name))
        self.nodes[name] = self.script.describe(node)

    def stop(self):
        self.script.stop_all()
        print(f"{self.network.close()} frames were held up", flush=True)
