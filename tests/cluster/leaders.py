"""Who led which group in which term, as the nodes' logs tell: in one term a group has one leader, and no more."""
import re

LINE = re.compile(r"group (\d+): replica \d+ leads in term (\d+)\n")


def leaders(logs):
    """(role, group, term) -> names of the nodes that led; `logs`: (role, name, lines) of every node."""
    led = {}
    for role, name, lines in logs:
        for line in lines:
            found = LINE.search(line)
            if found:
                led.setdefault((role, int(found[1]), int(found[2])), set()).add(name)
    return led


def rivals(led):
    return [f"group {group} of the {role}s has {' and '.join(sorted(names))} for leaders in term {term}"
            for (role, group, term), names in sorted(led.items()) if len(names) > 1]


def leaders_of(cluster):
    """Those of a cluster's whole life."""
    def logs():
        for name, node in cluster.nodes.items():
            if node["role"] in ("worker", "placement"):
                with open(node["log"], encoding="utf-8", errors="replace") as log:
                    yield node["role"], name, log
    return leaders(logs())
