"""Checks the history of one register (a point) for linearizability, in about linear time, by the versions that answers carry.

Every write that was acknowledged, and every read of a point, tells the version (log index) of the write it made or saw. Versions order
the writes; a history is linearizable if that order agrees with real time: an operation that began after another one had ended
is not before it. Writes whose fate is unknown count once somebody read them. A read that found nothing was after some delete, or
before every write: the earliest delete that agrees with real time is taken, which leaves the most room for what follows.

As a program it checks a history that was saved to a file: `python3 register_check.py FILE`. Exit codes: 0: linearizable; 1: a violation,
which is printed; 2: the file is no history.
"""
import argparse
import dataclasses
import json
import sys
from typing import Optional


@dataclasses.dataclass
class Op:
    kind: str  # "write", "delete" or "read"
    begin: float
    end: Optional[float]  # None: no answer came, so it may still happen
    value: Optional[int] = None  # written, or read (None: there is no such point); unique among writes
    version: Optional[int] = None  # of the write made or seen; None when unknown

    def __str__(self):
        end = "-" if self.end is None else f"{self.end:.6f}"
        return f"{self.kind} value {self.value} version {self.version} [{self.begin:.6f}, {end}]"


class Violation(Exception):
    pass


def settle_unknown(history):
    """Gives writes without an answer the version at which somebody saw them; drops those that nobody saw. Deletes without an answer
    stay, without a version."""
    seen = {}
    for op in history:
        if op.kind == "read" and op.value is not None:
            if seen.setdefault(op.value, op.version) != op.version:
                raise Violation(f"value {op.value} was read with versions {seen[op.value]} and {op.version}")
    writes, settled = {}, []
    for op in history:
        if op.kind == "write":
            writes[op.value] = op
            if op.end is None:
                if op.value not in seen:
                    continue
                op.version = seen[op.value]
            elif op.value in seen and seen[op.value] != op.version:
                raise Violation(f"{op} was read with version {seen[op.value]}")
        settled.append(op)
    for op in history:
        if op.kind != "read" or op.value is None:
            continue
        if writes[op.value].begin > op.end:
            raise Violation(f"{op} saw {writes[op.value]}, which began later")
    return settled


def name_versions(history):
    """Searches tell values without versions: they get those of the writes, as acknowledged or read by others. What nobody knows the
    version of is left out, but for the writes themselves."""
    versions = {op.value: op.version for op in history if op.value is not None and op.version is not None}
    for op in history:
        if op.kind == "read" and op.value is not None and op.version is None:
            op.version = versions.get(op.value)
    return [op for op in history if op.kind != "read" or op.value is None or op.version is not None]


def check(history):
    """Raises Violation with the operations that contradict each other."""
    # Copies: what is found out about an operation is written down in it.
    history = [dataclasses.replace(op) for op in history if op.kind != "read" or op.end is not None]
    wrote = {op.value for op in history if op.kind == "write"}
    for op in history:
        if op.kind == "read" and op.value is not None and op.value not in wrote:
            raise Violation(f"{op} saw a value that nobody wrote")
    history = name_versions(history)
    history = settle_unknown(history)
    versions = {}
    for op in history:
        if op.kind == "read" or op.version is None:
            continue
        if op.version in versions:
            raise Violation(f"{op} and {versions[op.version]} have one version")
        versions[op.version] = op
    deletes = sorted((op for op in history if op.kind == "delete" and op.version is not None), key=lambda op: op.version)
    unsure_deletes = [op for op in history if op.kind == "delete" and op.version is None]
    # What has ended, in order of ending: the highest version that any operation must not come before.
    begun = sorted(history, key=lambda op: op.begin)
    ended = sorted((op for op in history if op.end is not None), key=lambda op: op.end)
    at, floor, floor_op, floors = 0, 0, None, {}
    for op in begun:
        while at < len(ended) and ended[at].end < op.begin:
            earlier = ended[at]
            at += 1
            version = floors.get(id(earlier), earlier.version)
            if version is not None and version > floor:
                floor, floor_op = version, earlier
        if op.kind == "read" and op.value is None:
            floors[id(op)] = explain_absence(op, floor, floor_op, deletes, unsure_deletes)
        elif op.version is None:
            continue
        elif op.version < floor or (op.kind != "read" and op.version == floor):
            raise Violation(f"{op} comes after {floor_op}, which had ended, but has an older version")


def explain_absence(read, floor, floor_op, deletes, unsure_deletes):
    """The version as of which the point was absent; None when it cannot be told (a delete without an answer may have done it)."""
    if floor == 0:
        return 0  # before every write is possible
    for delete in deletes:
        if delete.version >= floor and delete.begin < read.end:
            return delete.version
    if any(delete.begin < read.end for delete in unsure_deletes):
        return None
    raise Violation(f"{read} found nothing after {floor_op} had ended, and nobody deleted it since")


def violations(points):
    """What is wrong with which points: (point, words). points: point -> operations."""
    found = []
    for point, operations in sorted(points.items()):
        try:
            check(operations)
        except Violation as violation:
            found.append((point, str(violation)))
    return found


def save(path, points, about):
    """about: what tells the run from others, as its seed; goes into the file as it is."""
    saved = {point: [dataclasses.asdict(op) for op in operations] for point, operations in points.items()}
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"about": about, "points": saved}, file)


def load(path):
    """point -> operations, and what was said about them. Raises OSError or ValueError."""
    with open(path, encoding="utf-8") as file:
        saved = json.load(file)
    try:
        points = {point: [Op(**op) for op in operations] for point, operations in saved["points"].items()}
        if any(op.kind not in ("write", "delete", "read") for operations in points.values() for op in operations):
            raise ValueError(f"{path} has operations of a kind that is not known")
        return points, saved["about"]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no history: {type(error).__name__}: {error}") from error


def main():
    parser = argparse.ArgumentParser(description="Checks a saved history of points for linearizability.")
    parser.add_argument("file")
    path = parser.parse_args().file
    try:
        points, about = load(path)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    found = violations(points)
    for point, words in found:
        print(f"point {point}: {words}")
    print(f"{sum(map(len, points.values()))} operations on {len(points)} points, {len(found)} violations; {about}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
