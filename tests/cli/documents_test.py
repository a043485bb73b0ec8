#!/usr/bin/env python3
"""The commands of the documents work. A line before a block says how it is tested:

<!-- run -->        it is run as it stands, on a server of its own, in a folder with a copy of examples/
<!-- start -->      it is run as it stands, but for the ports and the folder of data, and has to start a server
<!-- verbs -->      every line is a verb of ./dev that exists: other tests run them
<!-- file PATH -->  it is this file of the repository, word for word: other tests run that

Every block of commands in README and quick start, and every block of the client libraries' READMEs, has such a line; blocks of
something else name their language.
"""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("VECTRON_BIN_DIR", "")
BLOCK = re.compile(r"(?:^<!-- (run|start|verbs|file [\w./-]+) -->\n)?^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = {"python": "quickstart.py", "typescript": "quickstart.mjs", "go": "quickstart.go", "cpp": "quickstart.cc"}  # in examples/
WHOLLY_TESTED = ("README.md", os.path.join("docs", "quick-start.md"))


def documents():
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False)
    return listed.stdout.split() if listed.returncode == 0 else list(WHOLLY_TESTED)


def blocks_of(document):
    """(how it is tested, "" for not at all; language; text) of each block."""
    with open(os.path.join(ROOT, document), encoding="utf-8") as file:
        return BLOCK.findall(file.read())


class Documents(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vectron-documents-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        shutil.copytree(os.path.join(ROOT, "examples"), os.path.join(self.folder, "examples"))

    def start(self, command):
        """Runs what starts a server; what it says when it is ready."""
        server = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait, 30)
        self.addCleanup(server.terminate)
        return json.loads(server.stdout.readline())

    def serve(self, name):
        return self.start([os.path.join(BIN, "vectron"), "dev", "--data", os.path.join(self.folder, name), "--auth", "off",
                           "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"])

    def run_block(self, block, ready):
        script = block.replace("localhost:8080", ready["http"]).replace("localhost:8081", ready["grpc"])
        script = script.replace("build/release/bin", BIN)
        run = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=self.folder, capture_output=True, text=True,
                             timeout=120, check=False, env={**os.environ, "VECTRON_HOST": ready["grpc"]})
        self.assertEqual(run.returncode, 0, script + run.stdout + run.stderr)
        self.assertNotIn('"code":', run.stdout, script + run.stdout)
        return run.stdout

    def test_blocks_that_are_run(self):
        for document in documents():
            blocks = [text for how, _, text in blocks_of(document) if how == "run"]
            if not blocks:
                continue
            ready = self.serve(document.replace("/", "-"))
            said = ""
            for block in blocks:
                with self.subTest(document=document, block=block):
                    said += self.run_block(block, ready)
            if document in WHOLLY_TESTED:  # the searches found something
                self.assertIn('"results":[{', said.replace(" ", ""))

    def test_blocks_that_start_a_server(self):
        for document in documents():
            for text in [text for how, _, text in blocks_of(document) if how == "start"]:
                with self.subTest(document=document, block=text):
                    self.assertEqual(text.count("\n"), 1)
                    ready = self.start([*text.replace("build/release/bin", BIN).split(), "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"])
                    self.assertTrue(ready["ready"])

    def test_verbs_exist(self):
        known = subprocess.run([os.path.join(ROOT, "dev"), "--help"], capture_output=True, text=True, check=True).stdout
        for document in documents():
            for line in [line for how, _, text in blocks_of(document) if how == "verbs" for line in text.splitlines()]:
                self.assertRegex(line, r"^\./dev [a-z]+\b", document)
                self.assertRegex(known, rf"(?m)^  {line.split()[1]} ", document)

    def test_every_command_of_dev_is_a_verb(self):
        known = subprocess.run([os.path.join(ROOT, "dev"), "--help"], capture_output=True, text=True, check=True).stdout
        verbs = set(re.findall(r"(?m)^  ([a-z]+) {2,}", known))
        for document in documents():
            with open(os.path.join(ROOT, document), encoding="utf-8") as file:
                self.assertLessEqual(set(re.findall(r"\./dev ([a-z]+)", file.read())), verbs, document)

    def test_bodies_that_are_shown_are_taken(self):
        ready = self.serve("bodies")

        def call(path, body):
            request = urllib.request.Request(f"http://{ready['http']}{path}", json.dumps(body).encode())
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        (shown_filter,) = [json.loads(text) for _, _, text in blocks_of("docs/data-model.md") if text.startswith('{"must":')]
        search, feedback = [text for _, language, text in blocks_of("docs/ranking.md") if language == "json"]
        call("/v1/collections", {"name": "shop", "dimension": 2})
        fitting = {"section": "web", "size": 12, "tags": ["stable"], "author": {"name": "x"}, "price": 1}
        call("/v1/collections/shop/points", {"points": [{"id": "p7", "vector": [0.1, 0.2], "payload": fitting},
                                                        {"id": "a", "vector": [0.1, 0.2], "payload": fitting}]})
        found = call("/v1/collections/shop/points/search", {"vector": [1, 2], "filter": shown_filter})
        self.assertEqual([hit["id"] for hit in found["results"]], ["p7"])
        found = call("/v1/collections/shop/points/search", json.loads(search))
        first, body = feedback.split("\n", 1)
        call(first.removeprefix("POST "), {**json.loads(body), "queryId": found["queryId"]})

    def test_the_first_administrator_registers_as_shown(self):
        folder = os.path.join(self.folder, "with-credentials")
        ready = self.start([os.path.join(BIN, "vectron"), "dev", "--data", folder, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"])
        (block,) = [text for _, _, text in blocks_of("docs/security.md") if text.startswith("curl")]
        said = self.run_block(block.replace("127.0.0.1:8080", ready["http"]).replace("DIR", folder), ready)
        self.assertEqual(json.loads(said)["user"]["role"], "ROLE_ADMIN")

    def test_blocks_of_files_are_those_files(self):
        for document in documents():
            for how, _, text in blocks_of(document):
                if how.startswith("file "):
                    with open(os.path.join(ROOT, how.removeprefix("file ")), encoding="utf-8") as file:
                        self.assertEqual(text, file.read(), f"{document}: not what {how} holds")

    def test_the_examples_are_shown(self):
        for language, name in EXAMPLES.items():
            shown = f"file examples/{language}/{name}"
            library = os.path.join("sdk", language, "README.md")
            self.assertIn(shown, [how for how, _, _ in blocks_of("README.md")])
            self.assertIn(shown, [how for how, _, _ in blocks_of(library)])
            for how, _, text in blocks_of(library):
                self.assertTrue(how, f"{library}: no line says how this is tested:\n{text}")

    def test_no_block_goes_untested(self):
        for document in WHOLLY_TESTED:
            found = blocks_of(document)
            self.assertTrue(any(how == "run" for how, _, _ in found), document)
            for how, language, text in found:
                self.assertTrue(how or language not in ("", "sh", "bash", "console"), f"{document}: no line says how this is tested:\n{text}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
