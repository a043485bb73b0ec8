"""Starts real clusters for tests, by the script that users start them with. Standard library only."""
import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("VECTRON_BINARY", os.path.join(SOURCE, "build", "release", "bin", "vectron"))
SCRIPT = os.path.join(SOURCE, "tools", "cluster.py")
SECONDS = 180


class ClusterProcess:
    """One cluster in a temporary folder. `stop` or the end of the program ends every process of it."""

    def __init__(self, *, workers=3, placement=3, gateways=1, flags=()):
        self.data = tempfile.mkdtemp(prefix="vectron-cluster-")
        self.nodes = {}
        atexit.register(self.destroy)
        ready = self._up("--workers", str(workers), "--placement", str(placement), "--gateways", str(gateways),
                         "--auth", "off", "--no-demo", "--threads", "2", "--binary", BINARY, *flags)
        self.http = ready["http"]
        self.grpc = ready["grpc"]
        self.ca = ready.get("ca")  # of --tls
        for node in ready["nodes"]:
            self.nodes[node["name"]] = node

    def _up(self, *flags):
        """Starts all nodes; the script's description of them."""
        return self._script("up", *flags)

    def _script(self, verb, *arguments):
        command = [sys.executable, "-B", SCRIPT, verb, *arguments, "--data", self.data, "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=SECONDS, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stderr}\n{self.logs()}")
        return json.loads(done.stdout)

    def names(self, role):
        return [name for name, node in self.nodes.items() if node["role"] == role]

    def worker_name(self, worker_id):
        return next(name for name, node in self.nodes.items() if node["role"] == "worker" and node["id"] == worker_id)

    def kill(self, name):
        """SIGKILL; returns when the process is gone."""
        pid = self.nodes[name]["pid"]
        os.kill(pid, signal.SIGKILL)
        while os.path.exists(f"/proc/{pid}") and self._state(pid) != "Z":
            time.sleep(0.001)

    @staticmethod
    def _state(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                return file.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            return "Z"

    def pause(self, name):
        os.kill(self.nodes[name]["pid"], signal.SIGSTOP)

    def resume(self, name):
        os.kill(self.nodes[name]["pid"], signal.SIGCONT)

    def terminate(self, name):
        """A stop in good order; returns when the process is gone."""
        pid = self.nodes[name]["pid"]
        os.kill(pid, signal.SIGTERM)
        while os.path.exists(f"/proc/{pid}") and self._state(pid) != "Z":
            time.sleep(0.01)

    def start(self, name):
        self.nodes[name] = self._script("start", name, "--binary", BINARY)

    def logs(self, lines=15):
        texts = []
        for folder in sorted(os.listdir(self.data)):
            path = os.path.join(self.data, folder, "log")
            if os.path.exists(path):
                with open(path, errors="replace", encoding="utf-8") as file:
                    texts.append(f"--- {folder}\n" + "".join(file.readlines()[-lines:]))
        return "\n".join(texts)

    def stop(self):
        if os.path.exists(os.path.join(self.data, "cluster.json")):
            self._script("down")

    def destroy(self):
        """Ends what runs, at once, and removes the data. Does nothing the second time."""
        for node in self.nodes.values():
            if self._state(node["pid"]) != "Z":
                try:
                    with open(f"/proc/{node['pid']}/cmdline", "rb") as file:
                        if node["grpc"].encode() in file.read():
                            os.kill(node["pid"], signal.SIGKILL)
                except OSError:
                    pass
        shutil.rmtree(self.data, ignore_errors=True)


class InVain(AssertionError):
    pass


class Deadline:
    """Fails a test that waits for something that does not come."""

    def __init__(self, seconds, what):
        self.end = time.monotonic() + seconds
        self.what = what

    def pause(self):
        if time.monotonic() > self.end:
            raise InVain(f"in vain: waited for {self.what}")
        time.sleep(0.05)


def busy():
    """Whether the machine has more to do than it has processors, so that clocks say little about the cluster alone."""
    return os.getloadavg()[0] > (os.cpu_count() or 1)
