#!/usr/bin/env python3
"""The steps of deploy/systemd/README.md make a cluster: they are run as they stand, but for folders, addresses and systemctl.

A machine is a folder, and an address of the loopback network of its own. A line `<!-- walk: NAME -->` names the block of commands after it.
"""
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.environ.get("VECTRON_BIN_DIR", ""))
ETCD = "/usr/bin/etcd"
SECONDS = 180
with open(os.path.join(ROOT, "deploy", "systemd", "README.md"), encoding="utf-8") as readme:
    TEXT = readme.read()
BLOCKS = dict(re.findall(r"<!-- walk: (\w+) -->\n```\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
# Stands in for systemd: enable --now and restart of units, which are processes of this machine's folder.
SYSTEMCTL = r"""#!/bin/bash
set -euo pipefail
gone() { [ ! -d /proc/$1 ] || grep -q '^State:.*Z' /proc/$1/status; }
start() {
  local command=(vectron "${1#vectron-}" --config "$MACHINE/etc/vectron/${1#vectron-}.toml")
  if [ "$1" = etcd ]; then readarray -t variables < "$MACHINE/etc/default/etcd"; command=(env "${variables[@]}" /usr/bin/etcd); fi
  "${command[@]}" > /dev/null 2>> "$MACHINE/$1.log" &
  echo $! > "$MACHINE/$1.pid"
}
verb=$1; shift
for unit in "$@"; do
  case $verb,$unit in
    enable,--now) ;;
    enable,*) start "$unit" ;;
    restart,*)
      pid=$(cat "$MACHINE/$unit.pid"); kill "$pid"
      while ! gone "$pid"; do sleep 0.05; done
      start "$unit" ;;
    *) exit 1 ;;
  esac
done
"""


def starts():
    """(machine, command) of the steps of part 5, in their order."""
    part = TEXT.split("## 5. Start")[1].split("\n## ")[0]
    out = []
    for step in re.findall(r"(?m)^\d\. (.*)$", part):
        for where, command in re.findall(r"(all three|machine \d)[^`]*`(systemctl [^`]*)`", step):
            machines = (1, 2, 3) if where == "all three" else (int(where[-1]),)
            out += [(machine, command) for machine in machines]
    return out


@unittest.skipUnless(os.access(ETCD, os.X_OK), f"{ETCD} is missing: the steps of a cluster are NOT RUN")
class Steps(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="vectron-steps-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.addClassCleanup(cls.stop_all)
        cls.network = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}."
        tools = os.path.join(cls.folder, "tools")
        os.mkdir(tools)
        with open(os.path.join(tools, "systemctl"), "w", encoding="utf-8") as file:
            file.write(SYSTEMCTL)
        os.chmod(os.path.join(tools, "systemctl"), 0o755)
        cls.path = f"{tools}:{BIN}:{os.environ['PATH']}"
        for n in (1, 2, 3):
            for name in ("etc/default", "var/lib/vectron", "var/lib/etcd", "copies"):
                os.makedirs(os.path.join(cls.machine(n), name))

    @classmethod
    def machine(cls, n):
        return os.path.join(cls.folder, f"machine-{n}")

    @classmethod
    def stop_all(cls):
        pids = []
        for n in (1, 2, 3):
            names = os.listdir(cls.machine(n)) if os.path.isdir(cls.machine(n)) else []
            for name in names:
                if name.endswith(".pid"):
                    with open(os.path.join(cls.machine(n), name), encoding="utf-8") as file:
                        pids.append(int(file.read()))
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def logs(self):
        out = []
        for n in (1, 2, 3):
            for name in sorted(os.listdir(self.machine(n))):
                if name.endswith(".log"):
                    with open(os.path.join(self.machine(n), name), encoding="utf-8", errors="replace") as file:
                        out.append(f"{n}/{name}: " + "".join(file.readlines()[-5:]))
        return "\n".join(out)

    def run_on(self, n, script, folder=None):
        """Runs commands of the document on a machine; what they print."""
        root = self.machine(n)
        script = script.replace("N=1 ", f"N={n} ").replace("127.0.0.1:", f"{self.network}{n}:").replace("10.0.0.", self.network)
        # Here they all connect from one address, which etcd wants to find in the certificate.
        script = script.replace(f"IP:{self.network}$n", f"IP:{self.network}$n,IP:127.0.0.1")
        script = re.sub(r"(?<![\w.])/(etc|var)/(?=vectron|etcd|default|lib)", rf"{root}/\1/", script)
        script = re.sub(r" -[og] (vectron|etcd)\b", "", script)
        run = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder or root, capture_output=True, text=True, check=False,
                             timeout=SECONDS, env={**os.environ, "PATH": self.path, "MACHINE": root})
        self.assertEqual(run.returncode, 0, f"{script}\n{run.stdout}{run.stderr}\n{self.logs()}")
        return run.stdout

    def await_ready(self, n, ports):
        """By the document's own commands."""
        deadline = time.monotonic() + SECONDS
        while True:
            said = self.run_on(n, BLOCKS["ready"])
            ready = {line.split()[0] for line in said.splitlines() if '"ready":true' in line}
            if ports <= ready:
                return
            self.assertLess(time.monotonic(), deadline, said + self.logs())
            time.sleep(0.1)

    def test_all_of_them(self):
        self.run_on(1, BLOCKS["certificates"])
        made = os.path.join(self.machine(1), "tls")
        for n in (1, 2, 3):
            names = ["cluster-ca.crt", "etcd-ca.crt", *(f"{part}-{n}.{kind}" for part in ("node", "etcd") for kind in ("crt", "key"))]
            for name in names + (["public.crt", "public.key", "auth-secret"] if n < 3 else []):
                shutil.copy(os.path.join(made, name), os.path.join(self.machine(n), "copies"))
            self.run_on(n, BLOCKS["copies"], os.path.join(self.machine(n), "copies"))
            said = self.run_on(n, BLOCKS["options"])
            self.assertEqual(said, "the configuration is right\n" * (5 if n < 3 else 3))
        order = starts()
        self.assertEqual(len(order), 11, "three machines, three times, and two")
        for n, command in order:
            self.run_on(n, command)
            if "vectron-auth" in command:
                self.await_ready(n, {"9643", "9644"})
        self.await_ready(1, {"9641", "9642", "9643", "9644", "9645"})
        for n in (2, 3):
            self.await_ready(n, {"9641", "9642"})
        ask = re.search(r"(?m)^curl .*/v1/system/health .*$", BLOCKS["administrator"]).group(0)
        # Not "healthy": a busy machine raises alerts of its own.
        answered = f"until {ask} | tee health.json | grep -q '\"overall_status\":'; do sleep 0.2; done\n"
        # The other gateway lists what the first has just made.
        self.assertRegex(self.run_on(1, BLOCKS["administrator"] + answered, made), r"(?m)^first\b")
        with open(os.path.join(made, "health.json"), encoding="utf-8") as file:
            services = {each["name"] for each in json.load(file)["services"]}
        self.assertLessEqual({"worker-1", "worker-2", "worker-3", "placement", "auth", "gateway"}, services)
        self.run_on(2, BLOCKS["rolling"])
        self.run_on(2, BLOCKS["rolling"].replace("placement 9641", "worker 9642"))
        self.run_on(2, BLOCKS["rolling"].replace("placement 9641", "gateway 9643"))

    def test_certificates_for_compose_name_all_its_services(self):
        functions = "".join(re.findall(r"(?ms)^(?:authority|certificate)\(\) \{.*?^\}\n", BLOCKS["certificates"]))
        with open(os.path.join(ROOT, "docs", "running-a-cluster.md"), encoding="utf-8") as file:
            (block,) = re.findall(r"(?ms)<!-- walk: compose -->\n```\n(.*?)^```$", file.read())
        folder = os.path.join(self.folder, "compose")
        os.mkdir(folder)
        self.run_on(1, functions + re.sub(r"(?m)^chown .*$", "", block), folder)
        with open(os.path.join(ROOT, "deploy", "container", "compose.tls.yaml"), encoding="utf-8") as file:
            text = file.read()
        for name in re.findall(r"\./tls/(\S+)\}", text):
            self.assertTrue(os.path.exists(os.path.join(folder, "tls", name)), name)
        shown = self.run_on(1, "openssl x509 -in tls/node.crt -noout -ext subjectAltName", folder)
        self.assertEqual(set(re.findall(r"DNS:([\w-]+)", shown)), set(re.findall(r"(?m)^  ([\w-]+): \*", text)))

    def test_a_firewall_takes_its_rules(self):
        nft = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin")
        if nft is None:
            self.skipTest("nft is missing: the rules are not read")
        run = subprocess.run([nft, "-c", "-f", "-"], input=BLOCKS["firewall"], capture_output=True, text=True, check=False)
        if "Operation not permitted" in run.stderr:
            self.skipTest("no right to read rules")
        self.assertEqual(run.returncode, 0, run.stderr)

    def test_every_block_is_known(self):
        self.assertEqual(TEXT.count("\n```\n"), 2 * len(BLOCKS))
        self.assertEqual(set(BLOCKS), {"certificates", "copies", "options", "firewall", "ready", "administrator", "rolling"})

    def test_the_ports_are_all_in_the_table(self):
        table = set(re.findall(r"\d{4,5}", TEXT.split("## 4. Ports")[1].split("For nftables")[0]))
        named = set(re.findall(r":(\d{4,5})", BLOCKS["options"])) - {"9642", "9643", "9644"}  # in a range
        self.assertLessEqual(named, table)


if __name__ == "__main__":
    unittest.main(verbosity=2)
