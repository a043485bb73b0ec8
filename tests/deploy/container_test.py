#!/usr/bin/env python3
"""The Containerfile, carried out without a container engine.

Each stage is a copy of this system, without a network, in which every step is run as it stands, on the files that a build is given. Three
programs are stood in for: ninja takes the programs that were built in place of building them again, `npm ci` the packages that were
installed, and apt-get looks whether there are such packages. What comes out is started as the image says.
"""
import errno
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import containerfile
from containerfile import ROOT

BIN = os.path.abspath(os.environ.get("VECTRON_BIN_DIR", ""))
NODE_MODULES = os.path.join(ROOT, "console", "node_modules")
INSIDE = "VECTRON_TEST_IN_NAMESPACE"
SECONDS = 120
STAND_INS = {
    "ninja": """#!/bin/bash
set -euo pipefail
if [ "$1 ${2:-}" != "-C build/release" ]; then exec "$BEHIND/ninja" "$@"; fi
for word in "${@:3}"; do
  case $word in -*|[0-9]*) continue ;; esac
  made=$("$BEHIND/ninja" -C "$2" -t query "$word" | sed -n 's/^    //p' | head -1)  # where the build puts it
  mkdir -p "$2/${made%/*}"
  cp "/mnt/${made##*/}" "$2/$made"
done
""",
    "npm": """#!/bin/bash
set -euo pipefail
if [ "$1" != ci ]; then PATH=$BEHIND:$PATH exec npm "$@"; fi
[ -e package.json ] && cmp package-lock.json /mnt/.installed
mkdir node_modules
mount --bind /mnt node_modules
""",
    "apt-get": """#!/bin/bash
set -euo pipefail
for word in "$@"; do
  case $word in -*|update|install) continue ;; esac
  dpkg-query -W "$word" >/dev/null || apt-cache show "$word" >/dev/null
done
""",
}


def can_have_namespaces():
    tried = ["unshare", "-m", "-n", "-p", "-f", "--kill-child", "--mount-proc", "bash", "-c",
             'mount -t tmpfs none "$1" && mkdir "$1"/{u,w,r} && mount -t overlay o -o "lowerdir=/,upperdir=$1/u,workdir=$1/w" "$1/r"', "-"]
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    with tempfile.TemporaryDirectory(prefix="vectron-copy-") as folder:
        return subprocess.run([*tried, folder], capture_output=True, check=False).returncode == 0


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


class Stage:
    """A copy of this system, and what the steps of one stage have said so far."""

    def __init__(self, folder, gives):
        self.root = os.path.join(folder, "root")
        for name in ("upper", "work", "root"):
            os.makedirs(os.path.join(folder, name))
        run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={folder}/upper,workdir={folder}/work", self.root)
        run("mount", "-t", "proc", "proc", self.root + "/proc")
        for name in ("run", "tmp"):
            run("mount", "-t", "tmpfs", "none", f"{self.root}/{name}")
        run("mount", "--rbind", "/dev", self.root + "/dev")
        if gives:
            run("mount", "--bind", gives, self.root + "/mnt")
        self.workdir, self.environment, self.said = "/", {}, {}
        self.path = os.environ["PATH"]
        os.mkdir(self.root + "/run/stand-ins")
        os.mkdir(self.root + "/run/behind")
        for name, text in STAND_INS.items():
            with open(f"{self.root}/run/stand-ins/{name}", "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(file.name, 0o755)
            if shutil.which(name):
                os.symlink(os.path.realpath(shutil.which(name)), f"{self.root}/run/behind/{name}")

    def inside(self, path):
        return self.root + os.path.join(self.workdir, path)

    def command(self, words):
        return ["chroot", self.root, "/usr/bin/env", "-C", self.workdir, *words]

    def run(self, script):
        environment = {"PATH": "/run/stand-ins:" + self.path, "BEHIND": "/run/behind", "HOME": "/root", **self.environment}
        return run(*self.command(["/bin/sh", "-c", script]), env=environment)


class Image:
    """All stages, one after the other. `without`: those that cannot be made here, from which nothing is taken then."""

    def __init__(self, folder, context, gives, without=()):
        self.stages, self.last = {}, None
        for word, rest in containerfile.steps():
            if word == "FROM":
                name = rest.partition(" AS ")[2]
                self.last = Stage(os.path.join(folder, name or "last"), gives.get(name)) if name not in without else None
                self.stages[name] = self.last
            elif self.last is not None:
                self.carry_out(self.last, word, rest, context)

    def carry_out(self, stage, word, rest, context):
        if word == "RUN":
            stage.run(rest)
        elif word == "WORKDIR":
            stage.workdir = rest
            os.makedirs(stage.root + rest, exist_ok=True)
        elif word == "ENV":
            stage.environment.update(part.split("=", 1) for part in shlex.split(rest))
        elif word == "COPY":
            *sources, target = rest.split()
            origin, goal = context, stage.inside(target)
            if sources[0].startswith("--from="):
                other = self.stages[sources.pop(0).removeprefix("--from=")]
                if other is None:
                    return
                origin, sources = other.root, [source.lstrip("/") for source in sources]
            containerfile.copy([os.path.join(origin, source) for source in sources], goal)
        elif word in ("ENTRYPOINT", "CMD"):
            stage.said[word] = json.loads(rest)
        elif word == "HEALTHCHECK":
            stage.said[word] = json.loads(rest.split("CMD", 1)[1])
        else:
            stage.said[word] = rest


@unittest.skipUnless(os.environ.get(INSIDE), "no right to make copies of this system: the Containerfile is NOT carried out")
class Container(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with socket.socket() as loopback:  # up, in a network of its own
            fcntl.ioctl(loopback, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))
        folder = tempfile.mkdtemp(prefix="vectron-container-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        run("mount", "-t", "tmpfs", "-o", "size=3g", "none", folder)
        cls.addClassCleanup(run, "umount", "--recursive", "--lazy", folder)
        os.mkdir(os.path.join(folder, "context"))
        containerfile.make_context(os.path.join(folder, "context"))
        cls.console = cls.console_packages()
        cls.image = Image(folder, os.path.join(folder, "context"), {"build": BIN, "console": NODE_MODULES}, () if cls.console else ("console",))
        cls.stage = cls.image.last
        cls.keep_to_its_volume()

    @staticmethod
    def console_packages():
        """Whether the packages of the console are installed as its lock file wants them."""
        try:
            with open(os.path.join(NODE_MODULES, ".installed"), "rb") as one, open(os.path.join(ROOT, "console", "package-lock.json"), "rb") as other:
                return one.read() == other.read()
        except FileNotFoundError:
            return False

    @classmethod
    def keep_to_its_volume(cls):
        """The volume as an engine makes it, of whom the image's folder is; the rest cannot be written, as compose.yaml wants it."""
        volume = cls.stage.root + cls.stage.said["VOLUME"]
        cls.volume = os.stat(volume)
        run("mount", "-t", "tmpfs", "-o", f"uid={cls.volume.st_uid},gid={cls.volume.st_gid},mode={cls.volume.st_mode & 0o777:o}", "none", volume)
        run("mount", "-o", "remount,ro", cls.stage.root)

    def as_its_user(self, *words):
        """The command, as the user that the image names, with its environment and none of ours."""
        user = self.stage.said["USER"]
        group = re.search(rf"(?m)^[^:]*:[^:]*:{user}:(\d+):", self.read("/etc/passwd")).group(1)
        environment = [f"{name}={value}" for name, value in {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **self.stage.environment}.items()]
        return self.stage.command(["-i", *environment, "setpriv", "--reuid", user, "--regid", group, "--clear-groups", "--no-new-privs",
                                   "--bounding-set=-all", *words])

    def read(self, path):
        with open(self.stage.root + path, encoding="utf-8") as file:
            return file.read()

    def start(self):
        """What the image starts without further words; (process, what it says once it serves)."""
        log = tempfile.TemporaryFile()
        self.addCleanup(log.close)
        server = subprocess.Popen(self.as_its_user(*self.stage.said["ENTRYPOINT"], *self.stage.said["CMD"]), stdout=subprocess.PIPE, stderr=log)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        line = server.stdout.readline()
        log.seek(0)
        said = log.read().decode(errors="replace")
        self.assertTrue(line, said)
        return server, json.loads(line), said

    def test_it_serves_as_its_user_is_found_healthy_and_stops_when_told(self):
        server, ready, said = self.start()
        self.assertIn("x-vectron-bootstrap", said, "the secret of the first administrator is in the log")
        ports = {int(port) for port in self.stage.said["EXPOSE"].split()}
        self.assertEqual(ports, {int(ready[name].rsplit(":", 1)[1]) for name in ("http", "grpc")})
        for port in ports:
            socket.create_connection(("127.0.0.1", port), timeout=SECONDS).close()
        deadline = time.monotonic() + SECONDS
        while subprocess.run(self.as_its_user(*self.stage.said["HEALTHCHECK"]), capture_output=True, check=False).returncode != 0:
            self.assertLess(time.monotonic(), deadline, "not healthy")
        self.assertEqual(os.stat(f"/proc/{server.pid}").st_uid, int(self.stage.said["USER"]))
        self.assertNotEqual(int(self.stage.said["USER"]), 0)
        page = run(*self.as_its_user("curl", "-fsS", "-H", "accept: text/html", f"http://{ready['http'].replace('0.0.0.0', '127.0.0.1')}/"))
        if self.console:
            self.assertIn('<div id="root">', page)
        server.send_signal(getattr(signal, self.stage.said["STOPSIGNAL"]))
        self.assertEqual(server.wait(SECONDS), 0)
        self.assertNotEqual(subprocess.run(self.as_its_user(*self.stage.said["HEALTHCHECK"]), capture_output=True, check=False).returncode, 0)

    def test_the_folder_of_data_is_for_its_user_alone(self):
        self.assertEqual((self.volume.st_uid, self.volume.st_mode & 0o777), (int(self.stage.said["USER"]), 0o700))
        with self.assertRaises(OSError) as raised:
            open(self.stage.root + "/usr/share/x", "w", encoding="utf-8").close()
        self.assertEqual(raised.exception.errno, errno.EROFS)

    def test_it_takes_other_commands(self):
        for words in (("--version",), ("worker", "--help"), ("config", "reference")):
            self.assertTrue(run(*self.as_its_user(*self.stage.said["ENTRYPOINT"], *words)))
        self.assertIn("vectronctl", run(*self.as_its_user("vectronctl", "--version")))

    def test_the_console_is_made_of_what_its_stage_is_given(self):
        if not self.console:
            self.skipTest("the console's packages are not installed (./dev console unit): its stage is NOT carried out")
        files = os.listdir(self.stage.root + "/usr/share/vectron/console")
        self.assertIn("index.html", files)
        self.assertIn("index.html.br", files)
        licences = self.read("/usr/share/vectron/console/licences.txt")
        for name in ("react", "@mantine/core", "echarts", "@fontsource-variable/inter"):
            self.assertRegex(licences, rf"(?m)^{name} \d")
        self.assertIn("SIL OPEN FONT LICENSE", licences)


class Context(unittest.TestCase):
    def test_a_build_is_given_what_is_kept_under_version_control(self):
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
        if listed.returncode != 0:
            self.skipTest("no clone")
        there = {path for path in listed.stdout.splitlines() if os.path.exists(os.path.join(ROOT, path))}
        self.assertEqual(there - containerfile.context(), set())

    def test_nothing_that_is_made_here_gets_into_the_image(self):
        listed = subprocess.run(["git", "ls-files", "--others", "--ignored", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False)
        if listed.returncode != 0:
            self.skipTest("no clone")
        self.assertEqual(set(listed.stdout.splitlines()) & containerfile.context(), set())

    def test_secrets_builds_and_data_are_left_out(self):
        for path in (".git/config", "build/release/bin/vectron", ".data/up/FORMAT", "console/node_modules/vite/package.json",
                     "sdk/typescript/node_modules/x/y.js", "deploy/container/cluster-secret", "deploy/container/tls/node.key", "tests/cli/__pycache__/a.pyc"):
            self.assertTrue(containerfile.ignored().fullmatch(path), path)
        for path in ("console/src/main.tsx", "proto/vectron/auth.proto", "deploy/container/compose.tls.yaml", "src/apps/vectron/CMakeLists.txt"):
            self.assertFalse(containerfile.ignored().fullmatch(path), path)


if __name__ == "__main__":
    if not os.environ.get(INSIDE) and can_have_namespaces():
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "-m", "-n", "-p", "-f", "--kill-child", "--mount-proc", sys.executable, "-B", *sys.argv])
    unittest.main(verbosity=2)
