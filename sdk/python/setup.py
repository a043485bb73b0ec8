"""Generates the message classes before the package is built; everything else is in pyproject.toml."""

import os
import sys

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import generate


class BuildPy(build_py):
    def run(self):
        generate.main()
        super().run()


class Sdist(sdist):
    """A source package carries the .proto files, so that it builds away from the repository."""

    def run(self):
        generate.copy_protos()
        super().run()


setup(cmdclass={"build_py": BuildPy, "sdist": Sdist})
