"""A network for a cluster on one machine in which every node has a namespace with an address of its own, and any path can be cut in one
direction. No privilege is needed where the system lets users have namespaces, else root. Standard library, iproute2 and
nftables only.

All namespaces belong to one process (`run`): with its end, whatever the reason, they and all processes in them are gone.
"""
import collections
import os
import subprocess
import sys

from cluster_process import ClusterProcess
import cluster as cluster_script  # the one that users start clusters with, as a module

INSIDE = "VECTRON_INSIDE_NAMESPACES"
ALONE = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
HUB = "hub"  # where the tests and the gateways are
NOWHERE = "02:00:00:00:ff:ff"
LOSS_PERCENT = 30
DELAY_MS = 100
DELAY_SPREAD_MS = 50


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
    written down everywhere, so that a path is cut without a trace by a wrong entry at its sender."""

    def __init__(self, names):
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
        os.mkdir("/run/netns")
        self.names = [HUB, *names]
        self.cuts = collections.Counter()
        _ip("link", "set", "lo", "up")
        _ip("link", "add", "eth0", "address", self._hardware(HUB), "type", "bridge")
        _ip("addr", "add", f"{self.address(HUB)}/24", "dev", "eth0")
        _ip("link", "set", "eth0", "up")
        for number, name in enumerate(names):
            _ip("netns", "add", name)
            _ip("link", "add", f"cable{number}", "type", "veth", "peer", "name", "eth0", "address", self._hardware(name), "netns", name)
            _ip("link", "set", f"cable{number}", "master", "eth0", "up")
            _ip("-n", name, "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        for source in self.names:
            for target in self.names:
                if source != target:
                    self._tell(source, target, self._hardware(target))
        self.can_lose = self._can_lose()
        self.can_delay = _works("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")
        if self.can_delay:
            subprocess.run(["tc", "qdisc", "del", "dev", "lo", "root"], check=True)

    def address(self, name):
        return f"10.77.0.{self.names.index(name) + 1}"

    def _hardware(self, name):
        return f"02:00:00:00:00:{self.names.index(name) + 1:02x}"

    def _tell(self, source, target, hardware):
        where = () if source == HUB else ("-n", source)
        _ip(*where, "neigh", "replace", self.address(target), "lladdr", hardware, "dev", "eth0", "nud", "permanent")

    def cut(self, source, target):
        """Loses all packets from one to the other. As many heals as cuts restore the path."""
        self.cuts[source, target] += 1
        if self.cuts[source, target] == 1:
            self._tell(source, target, NOWHERE)

    def heal(self, source, target):
        self.cuts[source, target] -= 1
        if self.cuts[source, target] == 0:
            self._tell(source, target, self._hardware(target))

    def listen(self, target):
        """A process that prints the first datagram which gets to a node."""
        return self._receiver(target, "s.recv(99).decode()")

    def count(self, target):
        """A process that prints how many datagrams get to a node before one that says `end`."""
        return self._receiver(target, "sum(1 for _ in iter(lambda: s.recv(99), b'end'))")

    def _receiver(self, target, what):
        program = ("import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 9)); s.settimeout(30); print(flush=True); "
                   f"print({what})")
        receiver = subprocess.Popen([*self.inside(target), sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        receiver.stdout.readline()
        return receiver

    def send(self, source, target, text, times=1):
        program = (f"import socket; s = socket.socket(type=socket.SOCK_DGRAM); "
                   f"[s.sendto(b'{text}', ('{self.address(target)}', 9)) for _ in range({times})]")
        subprocess.run([*self.inside(source), sys.executable, "-c", program], check=True)

    @staticmethod
    def inside(name):
        """What to put before a command to run it in a node's namespace."""
        return [] if name == HUB else ["nsenter", f"--net=/run/netns/{name}"]

    def throttle(self, name):
        """Sends what the node has to say through a narrow pipe, with a queue that overflows."""
        subprocess.run(["tc", "-n", name, "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "1mbit", "burst", "8kb", "latency",
                        "200ms"], check=True)

    def free(self, name):
        """Ends a throttle or a delay."""
        subprocess.run(["tc", "-n", name, "qdisc", "del", "dev", "eth0", "root"], check=True)

    def delay(self, name):
        """Holds up what the node has to say, each packet for another time, so that some overtake others. Needs can_delay."""
        subprocess.run(["tc", "-n", name, "qdisc", "add", "dev", "eth0", "root", "netem", "delay", f"{DELAY_MS + DELAY_SPREAD_MS}ms",
                        f"{DELAY_SPREAD_MS}ms"], check=True)

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
