#!/usr/bin/env python3
"""What deploy/ says about the server is true: metric names exist, flags exist, files are well-formed."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

try:
    import yaml
except ImportError:  # Debian's package is for Debian's Python
    if sys.executable == "/usr/bin/python3":
        raise
    os.execv("/usr/bin/python3", ["/usr/bin/python3", "-B", *sys.argv])

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEPLOY = os.path.join(ROOT, "deploy")
BIN = os.environ.get("VECTRON_BIN_DIR", "")
VECTRON = os.path.join(BIN, "vectron")
os.environ["VECTRON_BINARY"] = VECTRON
sys.path.insert(0, os.path.join(ROOT, "tests", "cluster"))
import containerfile  # noqa: E402
import named_files  # noqa: E402
from clients import Api, patiently  # noqa: E402
from cluster_process import ClusterProcess, Deadline  # noqa: E402

# Names of codes as metrics have them.
with open(os.path.join(ROOT, "src", "rpc", "error_table.cc"), encoding="utf-8") as table:
    CODES = set(re.findall(r'StatusCode::k\w+, \d+, "(\w+)"', table.read()))
METRIC = re.compile(r"\b((?:vectron|process)_[a-z_]+)\b")


def read(*path):
    with open(os.path.join(DEPLOY, *path), encoding="utf-8") as file:
        return file.read()


def flags_of(role):
    run = subprocess.run([VECTRON, role, "--help"], capture_output=True, text=True, check=True)
    return set(re.findall(r"--[a-z][a-z-]+", run.stdout))


def get(address, path):
    """Status and text of a plain HTTP answer."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def names_in(text):
    """Names of the metrics that have values."""
    return {line.split("{")[0].split(" ")[0] for line in text.splitlines() if line and not line.startswith("#")}


class Monitoring(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """What each part of a cluster gives out once it has taken a few calls."""
        cls.cluster = ClusterProcess(workers=1, placement=1, gateways=1, flags=("--auth", "on", "--rerankers", "1"))
        cls.addClassCleanup(cls.cluster.destroy)
        api = Api(cls.cluster.http)
        with open(cls.cluster.nodes["auth-1"]["data"] + "/bootstrap.secret", encoding="utf-8") as file:
            bootstrap = {"x-vectron-bootstrap": file.read().strip()}
        account = {"email": "admin@example.org", "password": "Planted-Password-1"}
        patiently(lambda: api.call("POST", "/v1/users/register", account, bootstrap))
        api.credential = patiently(lambda: api.call("POST", "/v1/users/login", account))["jwtToken"]
        api.make("a", 1, 1)
        api.write("a", "p", 1)
        patiently(lambda: api.search("a", [1.0, 2.0, 3.0, 4.0]))
        api.close()
        cls.texts = {name: get(node["metrics"], "/metrics")[1] for name, node in cls.cluster.nodes.items() if "metrics" in node}
        cls.names = set().union(*map(names_in, cls.texts.values()))

    def test_every_role_shows_its_metrics(self):
        shown = {name.rsplit("-", 1)[0]: names_in(text) for name, text in self.texts.items()}
        for role, wanted in {
            "worker": {"vectron_shards", "vectron_shards_ready", "vectron_points_led", "vectron_raft_groups", "vectron_raft_log_writes_total",
                       "vectron_apply_lag_entries", "vectron_block_cache_bytes"},
            "placement": {"vectron_placement_leader", "vectron_placement_workers", "vectron_raft_leaders"},
            "gateway": {"vectron_http_connections", "vectron_rpc_calls_total", "vectron_credential_checks_total"},
            "auth": {"vectron_logins_total", "vectron_http_connections"},
            "reranker": {"vectron_audit_lines_total"},
        }.items():
            self.assertLessEqual(wanted | {"process_open_fds", "vectron_rpc_in_flight"}, shown.get(role, set()), role)
        self.assertIn('vectron_points_led{collection="a"} 1\n', self.texts["worker-1"])
        self.assertIn("vectron_placement_leader 1\n", self.texts["placement-1"])

    def test_every_role_says_that_it_lives_and_is_ready(self):
        for name, node in self.cluster.nodes.items():
            if "metrics" not in node:
                continue
            self.assertEqual(get(node["metrics"], "/healthz")[0], 200, name)
            deadline = Deadline(60, f"{name} to be ready")
            while get(node["metrics"], "/readyz")[0] != 200:
                deadline.pause()

    def test_the_port_of_clients_keeps_its_metrics_for_administrators(self):
        self.assertEqual(get(self.cluster.http[0], "/metrics")[0], 401)

    def test_a_single_process_has_a_port_for_them_too(self):
        with tempfile.TemporaryDirectory() as folder:
            server = subprocess.Popen([VECTRON, "dev", "--data", os.path.join(folder, "data"), "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0",
                                       "--metrics", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                ready = json.loads(server.stdout.readline())
                self.assertEqual(get(ready["http"], "/metrics")[0], 401)
                self.assertEqual(get(ready["metrics"], "/readyz"), (200, '{"ready":true,"problems":[]}'))
                self.assertIn("vectron_rpc_in_flight", names_in(get(ready["metrics"], "/metrics")[1]))
            finally:
                server.terminate()
                server.wait(60)
                server.stdout.close()

    def check(self, expressions):
        self.assertTrue(expressions)
        for expression in expressions:
            for name in METRIC.findall(expression):
                self.assertIn(name, self.names, expression)
            labels = {label.strip() for labels in re.findall(r"by \(([^)]*)\)", expression) for label in labels.split(",")}
            labels |= set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)\"", expression))
            named = "|".join(METRIC.findall(expression))
            for label in labels - {"instance", "job"}:  # these are of Prometheus
                shown = re.search(rf'(?m)^(?:{named})\{{[^}}]*\b{label}="', "\n".join(self.texts.values()))
                self.assertTrue(shown, f"no label {label}: {expression}")
            for codes in re.findall(r'code=~?"([^"]+)"', expression):
                self.assertLessEqual(set(codes.split("|")), CODES, expression)

    def test_alert_rules(self):
        rules = [rule for group in yaml.safe_load(read("monitoring", "alerts.yaml"))["groups"] for rule in group["rules"]]
        self.check([rule["expr"] for rule in rules])
        for rule in rules:
            self.assertIn("what_to_do", rule["annotations"], rule["alert"])

    def test_what_prometheus_reads(self):
        """The ports are those of deploy/etc, and the rules look for the job of this name."""
        config = yaml.safe_load(read("monitoring", "prometheus.yml"))
        self.assertEqual(config["rule_files"], ["alerts.yaml"])
        (job,) = config["scrape_configs"]
        self.assertIn(f'job="{job["job_name"]}"', read("monitoring", "alerts.yaml"))
        targets = {target for group in job["static_configs"] for target in group["targets"]}
        wanted = set()
        for name in os.listdir(os.path.join(DEPLOY, "etc")):
            (address,) = re.findall(r'(?m)^metrics = "(.*)"$', read("etc", name))
            wanted.add(address)
        self.assertEqual(len(wanted), 6, "ports that differ")
        self.assertEqual(targets, wanted)

    def test_dashboard(self):
        panels = json.loads(read("monitoring", "grafana-dashboard.json"))["panels"]
        self.check([target["expr"] for panel in panels for target in panel["targets"]])
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))


def compose(*more):
    """What `docker compose -f compose.yaml -f MORE...` makes of the files, as far as they use it."""
    whole = {}

    def add(into, part):
        for key, value in part.items():
            if isinstance(value, dict):
                add(into.setdefault(key, {}), value)
            elif key == "secrets" and isinstance(value, list):
                into[key] = sorted(set(into.get(key, [])) | set(value))
            else:
                into[key] = value
    for name in ("compose.yaml", *more):
        add(whole, yaml.safe_load(read("container", name)))
    return whole


class Containers(unittest.TestCase):
    COMPOSED = ((), ("compose.etcd.yaml",), ("compose.tls.yaml",), ("compose.etcd.yaml", "compose.tls.yaml"))

    def test_the_program_takes_every_command_of_compose(self):
        folder = tempfile.mkdtemp(prefix="vectron-compose-")
        self.addCleanup(shutil.rmtree, folder)
        files = named_files.make(folder)

        def there(word):
            return re.sub(r"/run/secrets/[\w.-]+", lambda path: named_files.instead(path[0], files), word)
        image = dict(re.findall(r"(VECTRON_[A-Z]+)=(\S+)", read("container", "Containerfile")))
        for more in self.COMPOSED:
            for name, service in compose(*more)["services"].items():
                if service["image"] != "vectron:latest":
                    continue
                with self.subTest(files=more, service=name):
                    environment = {name: there(value) for name, value in {**image, **service.get("environment", {})}.items()}
                    role, *flags = map(there, service["command"])
                    known = {"VECTRON_" + flag[2:].upper().replace("-", "_") for flag in flags_of(role)}
                    self.assertLessEqual(set(service.get("environment", {})), known)
                    run = subprocess.run([VECTRON, "config", "check", role, *flags], env=environment, capture_output=True, text=True, check=False)
                    self.assertEqual((run.returncode, run.stdout), (0, "the configuration is right\n"), run.stderr)

    def test_compose_has_what_its_services_name(self):
        for more in self.COMPOSED:
            whole = compose(*more)
            for name, service in whole["services"].items():
                with self.subTest(files=more, service=name):
                    self.assertEqual({volume.split(":")[0] for volume in service["volumes"]}, {name})
                    self.assertIn(name, whole["volumes"])
                    secrets = set(service.get("secrets", []))
                    self.assertLessEqual(secrets, set(whole["secrets"]))
                    words = [*service["command"], *service.get("environment", {}).values()]
                    self.assertEqual({word.split("/run/secrets/")[1] for word in words if "/run/secrets/" in word}, secrets)
                    hosts = {host for word in words for host in re.findall(r"\b([a-z]+(?:-\d)?):\d+", word)}
                    self.assertLessEqual(hosts - {"http"}, set(whole["services"]))

    def test_containerfile(self):
        text = read("container", "Containerfile")
        self.assertRegex(text, r"(?m)^USER 10001$")
        self.assertRegex(text, r"(?m)^HEALTHCHECK ")
        self.assertIn("AS build", text)
        for name in re.findall(r"VECTRON_([A-Z]+)=", text):
            self.assertIn("--" + name.lower(), flags_of("dev"))

    def test_the_image_is_made_as_images_should_be(self):
        """What hadolint and docker's own checks ask for."""
        steps = containerfile.steps()
        words = [word for word, _ in steps]
        self.assertLessEqual(set(words), {"FROM", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "EXPOSE", "ENV", "HEALTHCHECK", "STOPSIGNAL", "ENTRYPOINT", "CMD"})
        stages = set()
        for word, rest in steps:
            if word == "FROM":
                image, *name = rest.split(" AS ")
                self.assertRegex(image, r"^docker\.io/library/[a-z]+:[\w.-]*\d[\w.-]*$", "a base image has a version")
                stages.update(name)
            if word in ("ENTRYPOINT", "CMD"):
                self.assertTrue(json.loads(rest), "the exec form, so that signals arrive")
            if word == "RUN" and "apt-get install" in rest:
                self.assertIn("--no-install-recommends", rest)
                self.assertIn("rm -rf /var/lib/apt/lists", rest)
            if word == "COPY" and rest.startswith("--from="):
                self.assertIn(rest.split()[0].removeprefix("--from="), stages)
            elif word == "COPY":
                for source in rest.split()[:-1]:
                    self.assertTrue(os.path.exists(os.path.join(ROOT, source)), source)
        last = len(words) - 1 - words[::-1].index("USER")
        self.assertNotIn("RUN", words[last:], "nothing runs after the rights are given up")
        probe = next(rest for word, rest in steps if word == "HEALTHCHECK")
        installed = next(rest for word, rest in reversed(steps) if word == "RUN")
        self.assertIn(json.loads(probe.split("CMD", 1)[1])[0], installed.split())

    def test_runtime_packages_are_those_the_program_needs(self):
        """Every shared library of the program comes from a package that the image installs, or from one they pull in."""
        wanted = set(re.findall(r"\blib[a-z0-9+.-]+\b", read("container", "Containerfile").split("install")[-1].split("&& rm")[0]))
        needed = subprocess.run(["objdump", "-p", VECTRON], capture_output=True, text=True, check=True).stdout
        libraries = re.findall(r"NEEDED +(\S+)", needed)
        base = re.compile(r"lib(c|m|gcc_s|stdc\+\+|absl_.*|z|pthread|dl|gpr|grpc|grpc\+\+_reflection|crypto|address_sorting|upb|cares|re2|[a-z]*san)\.so")
        stems = {re.sub(r"[^a-z]", "", package.split(".")[0].rstrip("0123456789-")) for package in wanted}
        for library in libraries:
            if base.match(library) or library.startswith("ld-linux"):
                continue
            stem = re.sub(r"[^a-z]", "", library.split(".so")[0].rstrip("0123456789-."))
            self.assertTrue(any(stem.startswith(known) or known.startswith(stem) for known in stems), library)


class Configuration(unittest.TestCase):
    def test_the_reference_is_what_the_program_says(self):
        said = subprocess.run([VECTRON, "config", "reference"], capture_output=True, text=True, check=True).stdout
        with open(os.path.join(ROOT, "docs", "configuration.md"), encoding="utf-8") as file:
            self.assertEqual(file.read(), said, "run `vectron config reference > docs/configuration.md`")

    def test_a_check_reads_the_ranking_file_too(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "ranking.toml")
            secret = named_files.make(folder)["secret"]
            for role in (["dev"], ["reranker", "--placement", "127.0.0.1:1", "--cluster-secret-file", secret]):
                check = [VECTRON, "config", "check", *role, "--data", folder, "--ranking-config", path]
                for text, code, said in ((b'[rerank]\nstrategy = "learned"\n', 0, "the configuration is right"),
                                         (b'[rerank]\nstratgy = "rule"\n', 2, 'rerank.stratgy: is not known; did you mean "strategy"?')):
                    with open(path, "wb") as file:
                        file.write(text)
                    done = subprocess.run(check, capture_output=True, text=True)
                    self.assertEqual(done.returncode, code, done)
                    self.assertIn(said, done.stdout + done.stderr)
                os.remove(path)
                self.assertEqual(subprocess.run(check, capture_output=True).returncode, 2)


    def test_a_check_refuses_what_the_start_refuses(self):
        with tempfile.TemporaryDirectory() as folder:
            files = named_files.make(folder)
            open_dev = ["dev", "--data", folder]
            worker = ["worker", "--data", folder, "--placement", "127.0.0.1:6001"]
            secret = ["--cluster-secret-file", files["secret"]]
            placement = ["placement", "--data", folder, "--peers", "1=127.0.0.1:6001/127.0.0.1:7001", *secret]
            gateway = ["gateway", "--data", folder, "--placement", "127.0.0.1:6001", "--auth", "off", *secret]
            good = (open_dev, [*open_dev, "--tls-cert", files["certificate"], "--tls-key", files["key"]], [*worker, *secret],
                    [*placement, "--node", "1"], gateway, [*open_dev, "--console-prefix", "/vectron"])
            bad = ([*open_dev, "--auth", "off", "--http", "0.0.0.0:80"], [*gateway, "--http", "0.0.0.0:80"],
                   [*open_dev, "--tls-cert", "/nope", "--tls-key", files["key"]], [*open_dev, "--trusted-proxy", "nonsense"],
                   [*open_dev, "--console-prefix", 'bad prefix"'], [*gateway, "--console", "/nope"],
                   [*gateway, "--tls-cert", "/nope", "--tls-key", "/nope"], [*gateway[:3], "--placement", "127.0.0.1:1", "--auth", "off"],
                   [*worker[:3], "--placement", "nonsense", *secret], [*worker, "--cluster-secret-file", "/nope"], worker,
                   [*placement, "--node", "2"], ["auth", "--data", folder, *secret, "--etcd", "127.0.0.1:1", "--etcd-tls-ca", "/nope"])
            for options in good:
                done = subprocess.run([VECTRON, "config", "check", *options], capture_output=True, text=True, check=False)
                self.assertEqual((done.returncode, done.stdout), (0, "the configuration is right\n"), (options, done.stderr))
            for options in bad:
                check, start = (subprocess.run([VECTRON, *command, *options], capture_output=True, text=True, check=False, timeout=60)
                                for command in (["config", "check"], []))
                self.assertEqual((check.returncode, check.stdout), (2, ""), options)
                self.assertEqual((start.returncode, start.stderr), (2, check.stderr), options)

    def test_a_misspelt_variable_of_the_environment_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            options = {"env": {**os.environ, "VECTRON_SLOW_QUERYMS": "1", "VECTRON_CLUSTER_SECRET": "x"},
                       "capture_output": True, "text": True, "check": False, "timeout": 60}
            check = subprocess.run([VECTRON, "config", "check", "dev", "--data", folder], **options)
            self.assertEqual((check.returncode, check.stdout), (2, ""))
            self.assertIn("VECTRON_CLUSTER_SECRET, which is no option; did you mean VECTRON_CLUSTER_SECRET_FILE?", check.stderr)
            with open(os.path.join(folder, "other"), "w", encoding="utf-8") as file:
                file.write("so that it does not start")
            start = subprocess.run([VECTRON, "dev", "--data", folder, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"], **options)
            self.assertEqual(start.returncode, 1, start.stderr)
            self.assertRegex(start.stderr, "VECTRON_SLOW_QUERYMS, which is no option; did you mean VECTRON_SLOW_QUERY_MS")

    def test_the_file_of_a_single_node_is_right(self):
        check = subprocess.run([VECTRON, "config", "check", "dev", "--config", os.path.join(DEPLOY, "etc", "dev.toml")],
                               capture_output=True, text=True, check=False)
        self.assertEqual((check.returncode, check.stdout), (0, "the configuration is right\n"), check.stderr)


class Chart(unittest.TestCase):
    CHART = os.path.join(DEPLOY, "helm", "vectron")

    def test_flags_exist(self):
        for role in ("placement", "worker", "gateway", "auth", "reranker"):
            text = read("helm", "vectron", "templates", role + ".yaml")
            flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
            self.assertTrue(flags)
            self.assertLessEqual(flags, flags_of(role))


if __name__ == "__main__":
    unittest.main(verbosity=2)
