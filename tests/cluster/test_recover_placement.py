"""The last resort for placement, with real processes and the commands of docs/running-a-cluster.md: two of three placement nodes are lost
with their disks, the third goes on alone with what it has, and two new ones are taken in."""
import json
import os
import re
import shutil
import subprocess
import unittest
import urllib.request

from clients import Api, patiently
from cluster_process import BINARY, ClusterProcess

SURVIVOR = "placement-1"
LOST = ("placement-2", "placement-3")


class RecoverPlacement(unittest.TestCase):
    def setUp(self):
        self.cluster = ClusterProcess(workers=1, placement=3, gateways=1, flags=("--heartbeat-ms", "300"))
        self.addCleanup(self.cluster.destroy)
        self.until = self.cluster.until
        self.api = Api(self.cluster.http)

    def figure(self, name, figure):
        """What a placement node says of itself on its port for metrics; None while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self.cluster.nodes[name]['metrics']}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            return None
        found = re.search(rf"^vectron_placement_{figure} (\S+)$", text, re.MULTILINE)
        return found and int(float(found.group(1)))

    def agree_on(self, figure, value=None):
        """Whether all placement nodes say the same of it (and this)."""
        said = {self.figure(name, figure) for name in (SURVIVOR, *LOST)}
        return len(said) == 1 and None not in said and (value is None or said == {value})

    def recover(self, *arguments, code=0):
        """What `vectron recover` says of the survivor, with that exit code."""
        command = [BINARY, "recover", "--data", self.cluster.nodes[SURVIVOR]["data"], *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, code, f"{done.stdout}{done.stderr}\n{self.cluster.logs()}")
        return done.stdout + done.stderr

    def start_anew(self, name):
        """On an empty folder, to be taken in: with one option more from now on."""
        path = os.path.join(self.cluster.data, "cluster.json")
        with open(path, encoding="utf-8") as file:
            described = json.load(file)
        node = next(node for node in described["nodes"] if node["name"] == name)
        node["command"].append("--join")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(described, file)
        self.cluster.start(name)

    def check(self, *collections):
        for number, collection in enumerate(collections):
            point = patiently(lambda name=collection: self.api.get(name, "p"))["point"]
            self.assertEqual(point["payload"]["number"], number)
        listed = patiently(lambda: self.api.call("GET", "/v1/collections"))["collections"]
        self.assertEqual(set(listed), set(collections))

    def make(self, name, number):
        self.api.make(name, 1, 1)
        self.api.write(name, "p", number)

    def test_one_placement_node_of_three_goes_on_and_gets_new_ones_beside_it(self):
        self.make("before", 0)
        self.assertIn("in use by process", self.recover("--yes", code=1))
        self.until("the same state on all placement nodes", lambda: self.agree_on("applied_index"))
        for name in LOST:
            self.cluster.kill(name)
            shutil.rmtree(self.cluster.nodes[name]["data"])
        self.api.write("before", "p", 0)  # the data plane needs no placement

        self.cluster.kill(SURVIVOR)
        told = self.recover()
        self.assertRegex(told, r"^placement node 1 of cluster '\w[^']*': 1 workers, 1 collections; voters on placement nodes 1, 2, 3;")
        self.assertIn("say so with --yes", told)
        self.assertIn("goes on alone when this node starts", self.recover("--yes"))
        self.assertIn("its next start settles that", self.recover("--yes", code=1))
        self.cluster.start(SURVIVOR)
        self.make("alone", 1)
        self.check("before", "alone")
        self.assertEqual(self.figure(SURVIVOR, "voters"), 1)

        for name in LOST:
            self.start_anew(name)
        self.until("three votes", lambda: self.agree_on("voters", 3))
        self.cluster.kill(SURVIVOR)
        self.make("after", 2)
        self.check("before", "alone", "after")
        self.cluster.start(SURVIVOR)
        self.until("the same state on all placement nodes", lambda: self.agree_on("applied_index"))
        self.cluster.stop()


if __name__ == "__main__":
    unittest.main()
