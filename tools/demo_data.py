"""The data set of the demonstrations: the full one where it is, else the small one of examples/data."""
import gzip
import os
import struct

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SETS = [os.path.join(ROOT, "..", "shared", "data", "debian-packages-384"),
        os.path.join(ROOT, "examples", "data", "debian-packages-2k")]


def find(folder=None):
    """Folder, number of vectors and their dimension; None when there is none."""
    for candidate in [folder] if folder else SETS:
        path = os.path.join(candidate, "base.f16.gz")
        if os.path.exists(path):
            with gzip.open(path) as file:
                count, dimension = struct.unpack("<II", file.read(8))
            return {"folder": os.path.normpath(candidate), "count": count, "dimension": dimension}
    return None
