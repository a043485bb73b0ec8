"""What the script that starts clusters says and does, with a stand-in for the program: it tells that it is ready and waits for its end."""
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import unittest

from cluster_process import SCRIPT, SOURCE, Deadline
import cluster as cluster_script

# A file `fails` or `hangs` beside the node's data makes it do so.
STAND_IN = f"""#!{sys.executable} -SE
import json, os, signal, sys
arguments = dict(zip(sys.argv[2::2], sys.argv[3::2]))
home = os.path.dirname(arguments["--data"])
if os.path.exists(os.path.join(home, "fails")):
    sys.exit("not today")
if not os.path.exists(os.path.join(home, "hangs")):
    print(json.dumps({{"id": 7, "grpc": arguments.get("--grpc", "placement's")}}), flush=True)
while True:
    signal.pause()
"""
SMALL = ("--placement", "1", "--workers", "1", "--no-demo", "--json")


class Script(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="vectron cluster script ")  # spaces and all
        self.addCleanup(shutil.rmtree, self.home)
        self.addCleanup(self.end_all)
        self.data = os.path.join(self.home, "a cluster")
        self.program = os.path.join(self.home, "program")
        with open(self.program, "w", encoding="utf-8") as file:
            file.write(STAND_IN)
        os.chmod(self.program, stat.S_IRWXU)

    def begin(self, verb, *words, data=None):
        command = [sys.executable, "-B", SCRIPT, verb, *words, "--data", self.data if data is None else data, "--binary", self.program]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run_script(self, verb, *words, data=None, code=0):
        """Its standard output, or what it complained of."""
        with self.begin(verb, *words, data=data) as script:
            out, err = script.communicate(timeout=60)
        self.assertEqual(script.returncode, code, err)
        self.assertNotIn("Traceback", err)
        if code != 0:
            self.assertEqual(out, "")
        return err if code else out

    def up(self, *words):
        return json.loads(self.run_script("up", *SMALL, *words))

    def kept(self):
        try:
            return cluster_script.Cluster.load(self.data, self.program).nodes
        except cluster_script.Failed:
            return []

    def processes(self):
        """Of the cluster, known or not: names with numbers."""
        found = []
        for pid in filter(str.isdecimal, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
                    words = file.read().split("\0")
            except OSError:
                continue
            if self.program in words and "--data" in words and SCRIPT not in words:
                found.append((os.path.basename(os.path.dirname(words[words.index("--data") + 1])), int(pid)))
        return found

    def running(self):
        processes = self.processes()
        self.assertEqual(len(dict(processes)), len(processes), "a node runs twice")
        return dict(processes)

    def end_all(self):
        for _, pid in self.processes():
            os.kill(pid, signal.SIGKILL)

    def until(self, what, check):
        deadline = Deadline(60, what)
        while not check():
            deadline.pause()

    def kill(self, name):
        os.kill(self.running()[name], signal.SIGKILL)
        self.until("its end", lambda: name not in self.running())

    def make(self, name, file):
        os.makedirs(os.path.join(self.data, name), exist_ok=True)
        open(os.path.join(self.data, name, file), "w", encoding="utf-8").close()

    def test_up_tells_all_in_one_line(self):
        out = self.run_script("up", "--placement", "3", "--workers", "5", "--gateways", "2", "--auth", "off", "--no-demo", "--json")
        self.assertTrue(out.startswith('{"ready":true,"http":["127.0.0.1:'), out)
        self.assertEqual(out.count("\n"), 1)
        ready = json.loads(out)
        names = [*(f"placement-{n}" for n in (1, 2, 3)), *(f"worker-{n}" for n in range(1, 6)), "gateway-1", "gateway-2"]
        self.assertEqual([node["name"] for node in ready["nodes"]], names)
        self.assertEqual({node["name"]: node["pid"] for node in ready["nodes"]}, self.running())
        for node in ready["nodes"]:
            self.assertEqual(node["role"], node["name"].split("-")[0])
            self.assertIsInstance(node["grpc"], str)
            self.assertEqual(node["data"], os.path.join(self.data, node["name"], "data"))
        gateways = [node for node in ready["nodes"] if node["role"] == "gateway"]
        self.assertEqual((ready["grpc"], ready["http"]), ([node["grpc"] for node in gateways], [node["http"] for node in gateways]))
        self.assertEqual(json.loads(self.run_script("up", "--json")), ready, "nothing is to be done, and all is told")
        self.assertEqual(self.run_script("down", "--json"), '{"stopped":true}\n')
        self.assertEqual(self.running(), {})
        self.assertEqual(self.run_script("down", "--json"), '{"stopped":true}\n')

    def test_start_tells_the_new_process(self):
        before = {node["name"]: node for node in self.up()["nodes"]}
        self.assertIn(f"worker-1 runs already, as process {before['worker-1']['pid']}", self.run_script("start", "worker-1", "--json", code=1))
        self.assertIn("no node 'worker-9'; there are placement-1, worker-1, gateway-1", self.run_script("start", "worker-9", code=1))
        self.kill("worker-1")
        out = self.run_script("start", "worker-1", "--json")
        self.assertEqual(out.count("\n"), 1)
        self.assertEqual(json.loads(out), {**before["worker-1"], "pid": self.running()["worker-1"]})
        self.assertNotEqual(json.loads(out)["pid"], before["worker-1"]["pid"])

    def test_nodes_that_start_at_the_same_time_are_all_known(self):
        names = [node["name"] for node in self.up("--workers", "6")["nodes"]]
        for name in names:
            self.kill(name)
        scripts = [threading.Thread(target=self.run_script, args=("start", name)) for name in names]
        for script in scripts:
            script.start()
        for script in scripts:
            script.join()
        self.assertEqual({node["name"]: node["pid"] for node in self.kept()}, self.running())
        self.run_script("down")
        self.assertEqual(self.running(), {})

    def test_many_scripts_make_one_cluster(self):
        scripts = [self.begin("up", *SMALL) for _ in range(4)]
        told = [json.loads(script.communicate(timeout=60)[0]) for script in scripts]
        self.assertEqual({node["name"]: node["pid"] for node in told[0]["nodes"]}, self.running())
        self.assertEqual(told, told[:1] * 4)

    def test_nodes_that_are_paused_stop_too(self):
        self.up()
        for pid in self.running().values():
            os.kill(pid, signal.SIGSTOP)
        self.run_script("down")  # far sooner than the end of the patience with a node, which is more than that with the script
        self.assertEqual(self.running(), {})

    def test_a_node_that_fails_takes_down_what_was_started_with_it_and_nothing_else(self):
        self.make("worker-2", "fails")
        self.assertIn("worker-2 did not start; the end of its log:\nnot today", self.run_script("up", *SMALL, "--workers", "2", code=1))
        self.assertEqual(self.running(), {})
        os.remove(os.path.join(self.data, "worker-2", "fails"))
        self.run_script("up", "--json")
        before = self.running()
        self.make("worker-2", "fails")
        self.kill("worker-2")
        self.kill("gateway-1")
        self.run_script("up", "--json", code=1)
        del before["worker-2"], before["gateway-1"]
        self.assertEqual(self.running(), before)

    def test_up_that_is_interrupted_leaves_nothing_behind(self):
        self.make("worker-1", "hangs")
        kept = signal.signal(signal.SIGINT, signal.default_int_handler)  # the script has it, too, when this runs in the background
        self.addCleanup(signal.signal, signal.SIGINT, kept)
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.begin("up", *SMALL) as script:
                self.until("a worker", lambda: "worker-1" in self.running())
                script.send_signal(number)
                out, err = script.communicate(timeout=60)
            self.assertEqual((script.returncode, out), (130, ""))
            self.assertIn("interrupted; nothing of the cluster runs", err)
            self.assertEqual(self.running(), {})

    def test_a_pid_of_another_node_is_not_taken_for_the_one_that_had_it(self):
        nodes = {node["name"]: node for node in self.up()["nodes"]}
        self.assertTrue(cluster_script.is_alive(nodes["placement-1"]))
        for other in ("worker-1", "gateway-1"):  # whose command lines have its address
            self.assertFalse(cluster_script.is_alive({**nodes["placement-1"], "pid": nodes[other]["pid"]}))

    def test_what_is_no_cluster_is_said_to_be_none(self):
        for verb in (("down",), ("start", "worker-1")):
            for folder in (self.home, self.data, self.program):
                self.assertIn(f"there is no cluster in {folder}", self.run_script(*verb, "--json", data=folder, code=1))
            self.assertIn("no folder is named", self.run_script(*verb, "--json", data="", code=2))
        self.assertEqual(sorted(os.listdir(self.home)), ["program"])
        self.assertIn(self.program, self.run_script("up", *SMALL, data=self.program, code=1))
        for text in ('{"no', "[1]", '{"nodes": []}'):
            with open(os.path.join(self.home, "cluster.json"), "w", encoding="utf-8") as file:
                file.write(text)
            for verb in (("down",), ("start", "worker-1"), ("up", *SMALL)):
                self.assertIn("is not as this script writes it", self.run_script(*verb, data=self.home, code=1))

    def test_a_copy_of_a_folder_does_not_pass_for_the_cluster(self):
        self.up()
        copy = os.path.join(self.home, "copy")
        shutil.copytree(self.data, copy)
        for verb in (("down",), ("up", "--json"), ("start", "worker-1")):
            self.assertIn(f"is that of the cluster in {self.data}", self.run_script(*verb, data=copy, code=1))
        self.assertEqual(len(self.running()), 3)
        link = os.path.join(self.home, "link")
        os.symlink(self.data, link)
        self.run_script("down", data=link)
        self.assertEqual(self.running(), {})

    def test_wishes_that_come_too_late_are_refused(self):
        self.up("--workers", "2")
        self.assertEqual(len(json.loads(self.run_script("up", "--json"))["nodes"]), 4)
        for words, told in ((("--workers", "3"), "made with --workers 2, not 3"), (("--auth", "on"), "made with --auth off, not on"),
                            (("--tls",), "made without --tls")):
            self.assertIn(told, self.run_script("up", "--json", *words, code=1))

    def test_clusters_that_cannot_be_are_refused(self):
        for words in (("--workers", "0"), ("--workers", "-1"), ("--gateways", "0"), ("--placement", "2"), ("--rerankers", "x")):
            self.assertIn(words[0], self.run_script("up", *words, "--json", code=2))
        os.remove(self.program)
        self.assertIn(f"there is no program {self.program}", self.run_script("up", "--json", code=1))
        self.assertFalse(os.path.exists(self.data))

    def test_how_to_stop_it_can_be_pasted_into_a_shell(self):
        out = self.run_script("up", "--placement", "1", "--workers", "1", "--no-demo")
        command = out.rsplit("To stop it: ", 1)[1].strip()
        stand_in = command.replace(os.path.relpath(os.path.join(SOURCE, "dev")), "dev", 1).replace("./dev", "dev", 1)
        told = subprocess.run(["sh", "-c", f"dev() {{ printf '%s\\n' \"$@\"; }}; {stand_in}"], stdout=subprocess.PIPE, text=True, check=True)
        self.assertEqual(told.stdout.splitlines(), ["cluster", "down", "--data", os.path.relpath(self.data)])


if __name__ == "__main__":
    unittest.main()
