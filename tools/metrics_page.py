#!/usr/bin/env python3
"""docs/metrics.md from the places where the C++ sources make metrics.

python3 tools/metrics_page.py            writes it
python3 tools/metrics_page.py --check    fails when it is out of date
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.path.join(ROOT, "docs", "metrics.md")
# A metric is made by one of these calls: its name, its help in one or more literals, then, perhaps, labels or a value.
MADE = re.compile(r'\b(Add\w+|ProcessSample)\(\s*(?:\w+, )?"((?:vectron|process)_\w+)",\s*((?:"(?:[^"\\]|\\.)*"\s*)+)')
NAMED = re.compile(r'"((?:vectron|process)_[a-z_]+)"')
LABEL = re.compile(r'\{"(\w+)",')

HEAD = """# Metrics

What every process shows, in the text format of Prometheus; made by `tools/metrics_page.py` from the sources. A process shows what its
role has: a gateway no shards, a worker no HTTP routes of the API. Histograms have `_bucket`, `_sum` and `_count`. What the console draws is described in
[management](management.md).

`--metrics HOST:PORT` gives any role a port of its own for `/metrics`, `/healthz` (it lives) and `/readyz` (it can serve, or 503 and why not): plain HTTP, or TLS with `--metrics-tls-cert`,
no credentials, so an address that only those who watch reach. On a loopback address the `Host` of a request has to be one, too
([security.md](security.md)), so that no page in a browser reads it. It is there from the start on, and requests to it are not counted. The port of clients of `dev`,
`gateway` and `auth` has the three, too, `/metrics` for administrators. [deploy/monitoring](../deploy/monitoring) has what Prometheus needs (`prometheus.yml`), rules for
alerts and a Grafana dashboard. `./dev cluster` gives each node such a port.

| role | is ready while |
|---|---|
| `dev`, `worker` | every shard that it holds serves |
| `placement` | placement has a leader |
| `gateway` | it has had the map of the cluster, and the Auth service answers ([security](security.md#in-a-cluster)) |
| `auth` | its store answers |
| `reranker` | it serves |

| metric | kind | labels | what it says |
|---|---|---|---|
"""


def sources():
    """C++ files that are no tests."""
    found = []
    for folder, _, names in os.walk(os.path.join(ROOT, "src")):
        found += [os.path.join(folder, name) for name in names if name.endswith((".cc", ".h")) and not re.search(r"_test(ing)?\.", name)]
    return sorted(found)


def kind_of(call, name):
    if call == "AddHistogram":
        return "histogram"
    return "counter" if call == "AddCounter" or name.endswith("_total") else "gauge"


def rest_of_call(text, start):
    """The arguments from there to the parenthesis that ends the call."""
    depth = 1
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return text[start:at]
    return text[start:]


def metrics():
    """name -> (kind, help, labels). ValueError: one name with two meanings."""
    found = {}
    for path in sources():
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for match in MADE.finditer(text):
            call, name, literals = match.groups()
            about = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals))
            labels = LABEL.findall(rest_of_call(text, match.end())) if call in ("AddCounter", "AddGauge", "AddHistogram") else []
            if call.endswith("Sample") and call != "ProcessSample":
                labels = ["collection"]
            kind, help_text, known = found.setdefault(name, (kind_of(call, name), about, []))
            if (kind, help_text) != (kind_of(call, name), about):
                raise ValueError(f"{path}: {name} is a {kind} '{help_text}' elsewhere")
            known += [label for label in labels if label not in known]
        for name in NAMED.findall(text):
            if name not in found and not name.startswith("process_"):
                raise ValueError(f"{path}: {name} is made in a way that this tool does not read")
    return found


def render():
    lines = [f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {about.replace('|', chr(92) + '|')} |"
             for name, (kind, about, labels) in sorted(metrics().items())]
    return HEAD + "\n".join(lines) + "\n"


def main():
    text = render()
    if sys.argv[1:] != ["--check"]:
        with open(TARGET, "w", encoding="utf-8") as file:
            file.write(text)
    elif not os.path.exists(TARGET) or open(TARGET, encoding="utf-8").read() != text:
        sys.exit("docs/metrics.md is out of date: run python3 tools/metrics_page.py")


if __name__ == "__main__":
    main()
