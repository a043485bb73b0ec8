#!/usr/bin/env python3
"""What the documents claim holds: their numbers are constants of the sources; routes, options, variables and alerts that they name exist."""
import json
import os
import re
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KIB, MIB = 1 << 10, 1 << 20
LIMITS = "src/base/limits.h"
# Document: [(words around a number, what one of it is, where the constant is, its name)].
NUMBERS = {
    "docs/concepts.md": [
        ("an id (1-# bytes", 1, LIMITS, "kMaxPointIdBytes"),
        ("stays within # MiB of codes", MIB, LIMITS, "kTailMaxBytes"),
    ],
    "docs/consistency.md": [("The window is\n  # requests per shard", 1, LIMITS, "kRequestIdWindow")],
    "docs/data-model.md": [
        ("| id | 1-# bytes", 1, LIMITS, "kMaxPointIdBytes"),
        ("the collection's dimension (1-#)", 1, LIMITS, "kMaxDimension"),
        ("(norm) of at most #,", 1, "src/model/validate.h", "kMaxVectorLength"),
        ("components within ±#,", 1, "src/model/validate.h", "kMaxF16"),
        ("a JSON object, up to # MiB", MIB, LIMITS, "kMaxPayloadBytes"),
        ("up to # levels deep", 1, LIMITS, "kMaxJsonDepth"),
        ("up to # points and", 1, LIMITS, "kMaxUpsertPoints"),
        ("points and # MiB; an id twice", MIB, LIMITS, "kMaxUpsertBytes"),
        ("up to # MiB of ids, payloads and vectors", MIB, LIMITS, "kMaxAnswerBytes"),
        ("Up to # levels of nesting", 1, LIMITS, "kMaxFilterDepth"),
        ("nesting, # conditions", 1, LIMITS, "kMaxFilterConditions"),
        ("conditions and # values", 1, LIMITS, "kMaxFilterValues"),
    ],
    "docs/management.md": [
        ("figures of the last # samples", 1, "src/services/gateway/time_series.h", "kFineCapacity"),
        ("the newest # searches that took long", 1, "src/services/gateway/slow_queries.h", "kKept"),
        ("at most # MiB and one\nfile before it", MIB, "src/services/gateway/slow_queries.h", "kMaxFileBytes"),
        ("need # calls in the minute", 1, "src/services/gateway/alert_rules.h", "min_calls"),
        ("alerts survives restarts; # conditions", 1, "src/services/gateway/alerts.h", "kMaxTracked"),
        ("| `disk` | warning, critical at # %", 1, "src/services/gateway/alert_rules.h", "disk_critical_percent"),
        ("| `memory` | warning, critical at # %", 1, "src/services/gateway/alert_rules.h", "memory_critical_percent"),
        ("`--alert-disk-percent`, # |", 1, "src/services/gateway/alert_rules.h", "disk_percent"),
        ("`--alert-memory-percent`, # |", 1, "src/services/gateway/alert_rules.h", "memory_percent"),
        ("`--alert-error-percent`, #, of", 1, "src/services/gateway/alert_rules.h", "error_percent"),
        ("`--alert-latency-ms`, #, p99", 1, "src/services/gateway/alert_rules.h", "latency_ms"),
        ("critical at # s | `--alert-latency", 1_000, "src/services/gateway/alert_rules.h", "latency_critical_ms"),
    ],
    "docs/ranking.md": [
        ("`rerank.budget_ms` of the settings below (#)", 1, LIMITS, "kDefaultRerankBudgetMs"),
        ("At most # candidates", 1, LIMITS, "kMaxRerankCandidates"),
        ("a candidate's payload above # KiB", KIB, "src/model/payload.h", "kExcerptBytes"),
        ("up to # KiB of each", KIB, "src/model/payload.h", "kExcerptFieldBytes"),
        ("shown within the last # hours", 3_600_000, LIMITS, "kImpressionLifeMs"),
    ],
    "docs/security.md": [
        ("| login token | `POST /v1/users/login` | # h", 3_600, "src/services/auth/tokens.h", "kLoginTokenSeconds"),
        ("`POST /v1/sdk-jwt` from a key | # days", 86_400, "src/services/auth/tokens.h", "kSdkTokenSeconds"),
        ("a session ends # days after its login", 86_400, "src/services/auth/tokens.h", "kSessionSeconds"),
        ("while # tokens of the last day", 1, "src/services/auth/directory.h", "kMaxEnded"),
        ("| calls under way of one user | #,", 1, "src/rpc/admission.h", "max_in_flight_per_caller"),
        ("remember the answer for # seconds at\nmost", 1_000, "src/rpc/credential_verifier.h", "kMaxRemoteVerdictMs"),
        ("and for # when it is its store", 1_000, "src/rpc/credential_verifier.h", "kMaxVerdictMs"),
        ("  # lines of a user", 1, "src/rpc/audit_log.h", "kLinesPerUser"),
        ("done. # lines of an address", 1, "src/rpc/refusal_limit.h", "kLinesPerAddress"),
    ],
    "docs/troubleshooting.md": [
        ("`topK` above #,", 1, LIMITS, "kMaxTopK"),
        ("more than # points (with", 1, LIMITS, "kMaxUpsertPoints"),
        ("an upsert may be # MiB of JSON over HTTP", MIB, LIMITS, "kMaxHttpBodyBytes"),
        ("its points take at most # MiB", MIB, LIMITS, "kMaxUpsertBytes"),
        ("and number at most #.", 1, LIMITS, "kMaxUpsertPoints"),
    ],
    "docs/tuning.md": [
        ("breadth when linking; # by default", 1, "src/model/collection.h", "ef_construct"),
        ("links per point; # by default", 1, "src/model/collection.h", "m"),
    ],
}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def documents():
    """Text of each document that people read, by its path."""
    listed = subprocess.run(["git", "ls-files", "README.md", "docs/*.md", "deploy/*.md", "sdk/*.md"], cwd=ROOT, capture_output=True, text=True,
                            check=False)
    return {path: read(path) for path in listed.stdout.split() if "/adr/" not in path and os.path.exists(os.path.join(ROOT, path))}


def number(text):
    return float(text.replace(",", "").replace("'", ""))


def constant(path, name):
    (text,) = re.findall(rf"\b{name} =\s*([^;,]+);", read(path))
    factors = re.sub(r"(?:size_t|u?int64_t)\{([^}]*)\}|F\b", r"\1", text.replace("'", "")).split("<<")
    value = 1.0
    for factor in factors[0].split("*"):
        value *= number(factor.strip())
    return value * 2 ** sum(int(shift) for shift in factors[1:])


class Claims(unittest.TestCase):
    def test_numbers_are_those_of_the_sources(self):
        for path, claims in NUMBERS.items():
            text = read(path)
            for words, unit, source, name in claims:
                with self.subTest(document=path, claim=words):
                    found = re.findall(re.escape(words).replace(r"\#", r"([0-9][0-9.,]*e?[0-9]*)"), text)
                    self.assertEqual(len(found), 1, f"{path} does not say this once: {words}")
                    self.assertEqual(number(found[0].rstrip(".,")) * unit, constant(source, name), f"{name} of {source}")

    def test_routes_exist(self):
        routes = {re.sub(r"\{[^}]*\}", "{}", path): {verb.upper() for verb in verbs} for path, verbs in json.loads(read("docs/openapi.json"))["paths"].items()}
        known = [(re.compile(re.escape(path).replace(r"\{\}", "[^/]+")), verbs) for path, verbs in routes.items()]
        for document, text in documents().items():
            for verb, path in re.findall(r"(?:\b(GET|POST|PUT|DELETE)[ `]+)?(/v1/[\w/{}$-]+)", text):
                path = re.sub(r"\{[^}]*\}|\$\w+", "x", path).rstrip("/")
                fitting = [verbs for pattern, verbs in known if pattern.fullmatch(path)]
                self.assertTrue(fitting, f"{document}: no route {path}")
                self.assertTrue(not verb or any(verb in verbs for verbs in fitting), f"{document}: no {verb} {path}")

    def test_options_that_are_named_by_themselves_exist(self):
        """`--so` and `--so VALUE` between backticks: of vectron, vectronctl, ./dev and what it starts."""
        flags = {"config", *re.findall(r"(?m)^\| `([a-z0-9-]+)` \|", read("docs/configuration.md"))}
        for path in ("src/apps/vectronctl/flags.cc", "src/apps/vectron/recover_command.cc", "dev", "tools/cluster.py", "tools/cluster_demo.py"):
            flags |= set(re.findall(r"--([a-z][a-z0-9-]+)", read(path)))
        for document, text in documents().items():
            if document == "docs/benchmarks.md":  # has those of the benchmarks
                continue
            for flag in re.findall(r"`--([a-z][a-z0-9-]*)[^`]*`", text):
                self.assertIn(flag, flags, document)

    def test_variables_exist(self):
        used = subprocess.run(["git", "grep", "-hoE", "VECTRON_[A-Z0-9_]+", "--", ":!*.md"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
        known = set(used.split()) | {"VECTRON_" + name.upper().replace("-", "_") for name in re.findall(r"(?m)^\| `([a-z0-9-]+)` \|", read("docs/configuration.md"))}
        for document, text in documents().items():
            self.assertEqual(set(re.findall(r"VECTRON_[A-Z0-9_]+", text)) - known, set(), document)

    def test_alerts_are_all_of_them(self):
        (names,) = re.findall(r"kAlertRules> kNames = \{([^}]*)\}", read("src/services/gateway/alerts.cc"))
        table = read("docs/management.md").split("| rule | level |")[1].split("\n\n")[0]
        self.assertEqual(set(re.findall(r"(?m)^\| `(\w+)` \|", table)), set(re.findall(r'"(\w+)"', names)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
