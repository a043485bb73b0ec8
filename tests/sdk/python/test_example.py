"""The example is what the README shows; it must run as it is."""

import os
import subprocess
import sys

EXAMPLE = os.path.join(os.path.dirname(__file__), "..", "..", "..", "examples", "python", "quickstart.py")


def test_the_quickstart_runs(client, address):
    done = subprocess.run([sys.executable, EXAMPLE, address], capture_output=True, text=True, timeout=60)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("apple ") and "'price': 1.2" in lines[0], done.stderr
    assert lines[-1] == "final ['kiwi']"
    assert done.returncode == 0, done.stderr
