#!/usr/bin/env python3
"""The Debian packages: built, unpacked into a clean root, and what they hold is run from there."""
import glob
import json
import os
import shutil
import subprocess
import tempfile
import unittest

BUILD = os.environ.get("VECTRON_BUILD_DIR", "")


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


@unittest.skipUnless(shutil.which("dpkg-shlibdeps"), "dpkg-dev is not installed: no package can be built")
class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="vectron-packages-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        run("cpack", "-G", "DEB", "-B", cls.folder, "--config", os.path.join(BUILD, "CPackConfig.cmake"), cwd=BUILD)
        cls.packages = {os.path.basename(path).split("_")[0]: path for path in glob.glob(os.path.join(cls.folder, "*.deb"))}
        cls.root = os.path.join(cls.folder, "root")
        for path in cls.packages.values():
            run("dpkg-deb", "--extract", path, cls.root)

    def field(self, package, name):
        return run("dpkg-deb", "--field", self.packages[package], name).strip()

    def test_control(self):
        self.assertLessEqual({"vectron-server", "vectron-cli"}, set(self.packages))
        depends = self.field("vectron-server", "Depends")
        for library in ("librocksdb", "libgrpc++", "libc6"):
            self.assertIn(library, depends)
        control = os.path.join(self.folder, "control")
        run("dpkg-deb", "--control", self.packages["vectron-server"], control)
        with open(os.path.join(control, "conffiles"), encoding="utf-8") as file:
            for name in file.read().split():
                self.assertTrue(os.path.exists(self.root + name), name)
        for script in ("postinst", "prerm", "postrm"):
            run("sh", "-n", os.path.join(control, script))
            self.assertTrue(os.access(os.path.join(control, script), os.X_OK), script)

    def test_units_start_what_is_installed(self):
        units = glob.glob(self.root + "/usr/lib/systemd/system/*.service") + glob.glob(self.root + "/lib/systemd/system/*.service")
        self.assertGreaterEqual(len(units), 6)
        for unit in units:
            with open(unit, encoding="utf-8") as file:
                start = [line for line in file if line.startswith("ExecStart=")]
            self.assertEqual(len(start), 1, unit)
            program = start[0].split("=", 1)[1].split()[0]
            self.assertTrue(os.access(self.root + program, os.X_OK), unit)

    def test_options_files_are_right(self):
        secret = os.path.join(self.folder, "secret")
        with open(secret, "w", encoding="utf-8") as file:
            file.write("x" * 32)
        vectron = self.root + "/usr/bin/vectron"
        data = os.path.join(self.folder, "data")
        for path in glob.glob(self.root + "/etc/vectron/*.toml"):
            role = os.path.basename(path).removesuffix(".toml")
            more = ["--data", data] if role == "dev" else ["--cluster-secret-file", secret]
            self.assertIn("is right", run(vectron, "config", "check", role, "--config", path, *more))

    def test_a_single_node_starts_and_answers(self):
        config = os.path.join(self.root, "etc", "vectron", "dev.toml")
        server = subprocess.Popen([self.root + "/usr/bin/vectron", "dev", "--config", config, "--data", os.path.join(self.folder, "node"),
                                   "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--auth", "off"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            ready = json.loads(server.stdout.readline())
            ctl = [self.root + "/usr/bin/vectronctl", "--host", ready["grpc"]]
            run(*ctl, "create", "docs", "--dim", "2")
            self.assertIn("docs", run(*ctl, "list"))
        finally:
            server.terminate()
            server.wait(60)
            server.stdout.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
