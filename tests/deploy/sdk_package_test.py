#!/usr/bin/env python3
"""The Debian package of the C++ client: built, unpacked, and the example of the documents is compiled against it and run."""
import glob
import json
import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VECTRON = os.path.join(os.environ.get("VECTRON_BIN_DIR", ""), "vectron")
# The build of tests/sdk/run.sh cpp is gone on with.
WORK = os.path.join(os.environ.get("VECTRON_BUILD_DIR", ""), "sdk-tests", "cpp")


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


class SdkPackage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="vectron-sdk-package-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        build = os.path.join(WORK, "build")
        run("cmake", "-S", os.path.join(ROOT, "sdk", "cpp"), "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release")
        run("ninja", "-C", build, "--quiet")
        run("cpack", "-G", "DEB", "-B", cls.folder, "--config", os.path.join(build, "CPackConfig.cmake"), cwd=build)
        (cls.package,) = glob.glob(os.path.join(cls.folder, "*.deb"))
        cls.root = os.path.join(cls.folder, "root")
        run("dpkg-deb", "--extract", cls.package, cls.root)

    def test_control(self):
        self.assertEqual(run("dpkg-deb", "--field", self.package, "Package").strip(), "libvectron-dev")
        depends = run("dpkg-deb", "--field", self.package, "Depends")
        for library in ("libgrpc++-dev", "libprotobuf-dev"):
            self.assertIn(library, depends)
        self.assertTrue(os.path.exists(os.path.join(self.root, "usr", "include", "vectron", "client.h")))

    def test_the_example_finds_it_and_runs(self):
        build = os.path.join(self.folder, "example")
        run("cmake", "-S", os.path.join(ROOT, "examples", "cpp"), "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
            "-DCMAKE_PREFIX_PATH=" + os.path.join(self.root, "usr"))
        run("ninja", "-C", build, "--quiet")
        with open(os.path.join(build, "CMakeCache.txt"), encoding="utf-8") as cache:
            self.assertIn("vectron_DIR:PATH=" + self.root, cache.read())
        server = subprocess.Popen([VECTRON, "dev", "--data", os.path.join(self.folder, "data"), "--auth", "off", "--http", "127.0.0.1:0",
                                   "--grpc", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            address = json.loads(server.stdout.readline())["grpc"]
            self.assertTrue(run(os.path.join(build, "quickstart"), address).startswith("apple "))
        finally:
            server.terminate()
            server.wait(60)
            server.stdout.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
