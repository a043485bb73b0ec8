#!/usr/bin/env python3
"""The commands of the documents work: every block after a line `<!-- run -->` is run as it stands, on a server of its own."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("VECTRON_BIN_DIR", "")
BLOCK = re.compile(r"^<!-- run -->\n```[a-z]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def documents():
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False)
    return listed.stdout.split() if listed.returncode == 0 else ["README.md"]


class Documents(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vectron-documents-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def serve(self, name):
        """A fresh server; what `vectron dev` says when it is ready."""
        server = subprocess.Popen([os.path.join(BIN, "vectron"), "dev", "--data", os.path.join(self.folder, name), "--auth", "off",
                                   "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait, 30)
        self.addCleanup(server.terminate)
        return json.loads(server.stdout.readline())

    def run_block(self, block, ready):
        script = block.replace("localhost:8080", ready["http"]).replace("localhost:8081", ready["grpc"])
        script = script.replace("build/release/bin", BIN)
        run = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, capture_output=True, text=True,
                             timeout=120, check=False)
        self.assertEqual(run.returncode, 0, script + run.stdout + run.stderr)
        self.assertNotIn('"code":', run.stdout, script + run.stdout)

    def test_blocks(self):
        found = 0
        for document in documents():
            with open(os.path.join(ROOT, document), encoding="utf-8") as file:
                blocks = BLOCK.findall(file.read())
            if not blocks:
                continue
            ready = self.serve(str(found))
            for block in blocks:
                with self.subTest(document=document, block=block):
                    self.run_block(block, ready)
                found += 1
        self.assertGreater(found, 0, "no document has a block to run")


if __name__ == "__main__":
    unittest.main(verbosity=2)
