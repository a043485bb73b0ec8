#!/usr/bin/env python3
"""The Helm chart by Helm itself: it lints, and what it renders is what a cluster needs and the program takes."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

try:
    import yaml
except ImportError:  # Debian's package is for Debian's Python
    if sys.executable == "/usr/bin/python3":
        raise
    os.execv("/usr/bin/python3", ["/usr/bin/python3", "-B", *sys.argv])

import named_files

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHART = os.path.join(ROOT, "deploy", "helm", "vectron")
VECTRON = os.path.abspath(os.path.join(os.environ.get("VECTRON_BIN_DIR", ""), "vectron"))
ROLES = ("placement", "worker", "gateway", "auth", "reranker")
KUBERNETES = "1.25.0"  # the oldest that the chart takes
ETCD = "/usr/bin/etcd"
TLS = ("tls.cluster.existingSecret=internal", "tls.clients.existingSecret=public")
OWN_ETCD = ("etcd.install=true", "auth.replicas=2")
# Values that differ in what they render.
VARIANTS = {
    "as it is": (),
    "TLS": TLS,
    "TLS, certificates of clients": (*TLS, "tls.clients.clientCa=true"),
    "TLS for clients alone": TLS[1:],
    "etcd": OWN_ETCD,
    "etcd over TLS": (*TLS, *OWN_ETCD, "etcd.tls.existingSecret=etcd"),
    "an etcd that is there": (r"etcd.endpoints=10.0.0.1:2379\,10.0.0.2:2379", "etcd.tls.existingSecret=etcd"),
    "options": ("worker.options.rack=a", "worker.options.search-only=true", "gateway.options.rate-free-per-second=50",
                "gateway.options.trusted-proxy={10.0.0.0/8,192.168.0.1}", "placement.options.dead-after-ms=60000",
                "auth.options.log-level=warning", "reranker.options.log-level=debug", 'reranker.ranking=[rerank]\nstrategy = "learned"\n'),
    "few": ("placement.replicas=1", "worker.replicas=1", "gateway.replicas=1", "reranker.replicas=0", "networkPolicy.enabled=true",
            "antiAffinity=hard", "existingSecret=mine", "metrics.scrapeAnnotations=false"),
}


class Chart(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        found = subprocess.run([os.path.join(ROOT, "tools", "setup-languages.sh"), "helm"], capture_output=True, text=True, check=False)
        if found.returncode != 0:
            raise unittest.SkipTest("Helm cannot be had here: " + found.stderr)
        cls.helm = os.path.join(found.stdout.strip(), "helm")

    def run_helm(self, verb, *settings):
        arguments = [part for setting in settings for part in ("--set", setting)]
        name = ("v",) if verb == "template" else ()
        return subprocess.run([self.helm, verb, *name, CHART, "--namespace", "n", "--kube-version", KUBERNETES, *arguments],
                              capture_output=True, text=True, check=False)

    def render(self, *settings):
        """What the chart makes of values: {(kind, name): object}."""
        run = self.run_helm("template", *settings)
        self.assertEqual(run.returncode, 0, run.stderr)
        parts = [part for part in yaml.safe_load_all(run.stdout) if part]
        made = {(part["kind"], part["metadata"]["name"]): part for part in parts}
        self.assertEqual(len(made), len(parts), "no two of a name")
        return made

    def sets(self, *settings):
        return {name[2:]: part["spec"] for (kind, name), part in self.render(*settings).items() if kind == "StatefulSet"}

    def refused(self, why, *settings):
        wrong = self.run_helm("template", *settings)
        self.assertNotEqual(wrong.returncode, 0)
        self.assertIn(why, wrong.stderr)

    @staticmethod
    def container(spec):
        (container,) = spec["template"]["spec"]["containers"]
        return container

    def flags(self, spec):
        """Its flags as {name: value}."""
        return dict(flag[2:].partition("=")[::2] for flag in self.container(spec)["args"] if flag.startswith("--"))

    def test_lint(self):
        for name, settings in VARIANTS.items():
            run = self.run_helm("lint", *settings)
            self.assertEqual(run.returncode, 0, name + run.stdout + run.stderr)
            self.assertNotRegex(run.stdout, r"\[(WARNING|ERROR)\]", name)

    def test_the_program_takes_every_command(self):
        """Each container's command, run with `vectron config check` in place of `vectron`."""
        for name, settings in VARIANTS.items():
            made = self.render(*settings)
            for (kind, full), part in made.items():
                if kind != "StatefulSet" or full == "v-etcd":
                    continue
                with self.subTest(values=name, role=full), tempfile.TemporaryDirectory() as folder:
                    shim = os.path.join(folder, "vectron")
                    with open(shim, "w", encoding="utf-8") as file:
                        file.write(f'#!/bin/sh\nexec {VECTRON} config check "$@"\n')
                    os.chmod(shim, 0o755)
                    for file_name, text in made.get(("ConfigMap", full), {"data": {}})["data"].items():
                        with open(os.path.join(folder, file_name), "w", encoding="utf-8") as file:
                            file.write(text)
                    container = self.container(part["spec"])
                    files = named_files.make(folder)
                    arguments = [re.sub(r"/run/vectron(-tls)?/[\w./-]+", lambda path: named_files.instead(path[0], files), argument)
                                 .replace("/etc/vectron", folder).replace("$(POD)", full + "-0") for argument in container["args"]]
                    run = subprocess.run([*container.get("command", [shim]), *arguments], capture_output=True, text=True, check=False,
                                         env={"PATH": folder + ":/usr/bin:/bin", "HOSTNAME": full + "-0"})
                    self.assertEqual((run.returncode, run.stdout), (0, "the configuration is right\n"), run.stderr)

    def test_what_flags_name_is_mounted_from_what_is_there(self):
        for name, settings in VARIANTS.items():
            made = self.render(*settings)
            secrets = {"internal", "public", "etcd", "mine"} | {part for kind, part in made if kind == "Secret"}
            for role, spec in self.sets(*settings).items():
                with self.subTest(values=name, role=role):
                    pod = spec["template"]["spec"]
                    mounts = {mount["name"]: mount["mountPath"] for mount in self.container(spec)["volumeMounts"]}
                    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
                    claims = {claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]}
                    self.assertEqual(set(mounts), set(volumes) | claims)
                    for flag, value in self.flags(spec).items():
                        if value.startswith("/"):
                            self.assertTrue(any(value == path or value.startswith(path + "/") for path in mounts.values()), flag)
                    for volume in volumes.values():
                        if "secret" in volume:
                            self.assertIn(volume["secret"]["secretName"], secrets)
                        if "configMap" in volume:
                            self.assertIn(("ConfigMap", volume["configMap"]["name"]), made)

    def test_every_role_has_a_set_a_service_and_a_volume(self):
        made = self.render("worker.replicas=5", "worker.storageClass=fast")
        sets = self.sets("worker.replicas=5", "worker.storageClass=fast")
        self.assertEqual(set(sets), set(ROLES))
        self.assertEqual(sets["worker"]["replicas"], 5)
        self.assertEqual(sets["worker"]["volumeClaimTemplates"][0]["spec"]["storageClassName"], "fast")
        for spec in sets.values():
            service = made["Service", spec["serviceName"]]["spec"]
            self.assertEqual(spec["volumeClaimTemplates"][0]["metadata"]["name"], "data")
            labels = spec["template"]["metadata"]["labels"]
            for selector in (spec["selector"]["matchLabels"], service["selector"]):
                self.assertEqual(selector, {key: labels[key] for key in selector})
            open_ports = {port["name"]: port["containerPort"] for port in self.container(spec)["ports"]}
            for port in service["ports"]:
                self.assertEqual(open_ports[port.get("targetPort", port["name"])], port["port"])

    def test_a_client_stays_with_one_gateway(self):
        self.assertEqual(self.render()["Service", "v-gateway"]["spec"]["sessionAffinity"], "ClientIP")

    def test_probes_and_prometheus_ask_the_port_for_that(self):
        for settings in VARIANTS.values():
            annotated = "metrics.scrapeAnnotations=false" not in settings
            ports = set()
            for role, spec in self.sets(*settings).items():
                if role == "etcd":
                    continue
                container = self.container(spec)
                port = next(each["containerPort"] for each in container["ports"] if each["name"] == "metrics")
                self.assertEqual(self.flags(spec)["metrics"], f"0.0.0.0:{port}", role)
                for probe, path in (("readinessProbe", "/readyz"), ("livenessProbe", "/healthz"), ("startupProbe", "/healthz")):
                    self.assertEqual(container[probe]["httpGet"], {"path": path, "port": "metrics"}, role)
                annotations = spec["template"]["metadata"].get("annotations", {})
                self.assertEqual(annotations.get("prometheus.io/port"), str(port) if annotated else None, role)
                ports.add(port)
            self.assertGreaterEqual(len(ports), 4, "each role has its own, so that they can share a machine")

    def test_replicas_that_keep_the_cluster_alive_have_a_disruption_budget(self):
        made = self.render(*OWN_ETCD)
        for role in ("placement", "worker", "gateway", "auth", "etcd"):
            self.assertEqual(made["PodDisruptionBudget", "v-" + role]["spec"]["maxUnavailable"], 1)

    def test_nothing_runs_with_rights_it_does_not_need(self):
        for role, spec in self.sets(*OWN_ETCD).items():
            pod = spec["template"]["spec"]
            self.assertTrue(pod["securityContext"]["runAsNonRoot"], role)
            self.assertFalse(pod["automountServiceAccountToken"], role)
            security = self.container(spec)["securityContext"]
            self.assertEqual(security["capabilities"], {"drop": ["ALL"]}, role)
            self.assertTrue(security["readOnlyRootFilesystem"], role)

    def test_pods_of_a_role_keep_apart(self):
        for value in ("soft", "hard"):
            for role, spec in self.sets("antiAffinity=" + value, *OWN_ETCD).items():
                affinity = spec["template"]["spec"]["affinity"]["podAntiAffinity"]
                wished = [term["podAffinityTerm"] for term in affinity["preferredDuringSchedulingIgnoredDuringExecution"]]
                wanted = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", [])
                self.assertEqual("kubernetes.io/hostname" in [term["topologyKey"] for term in wanted], value == "hard")
                self.assertEqual({term["topologyKey"] for term in wished + wanted}, {"kubernetes.io/hostname", "topology.kubernetes.io/zone"})
                labels = spec["template"]["metadata"]["labels"]
                for term in wished + wanted:
                    self.assertEqual(term["labelSelector"]["matchLabels"], labels, role)

    def test_pods_go_to_the_nodes_that_are_named(self):
        settings = [f"{role}.{setting}" for role in (*ROLES, "etcd") for setting in
                    (f"nodeSelector.for={role}", "tolerations[0].key=vectron", "tolerations[0].operator=Exists")]
        for role, spec in self.sets(*OWN_ETCD, "image.pullSecrets={registry}", *settings).items():
            pod = spec["template"]["spec"]
            self.assertEqual(pod["nodeSelector"], {"for": role})
            self.assertEqual(pod["tolerations"], [{"key": "vectron", "operator": "Exists"}])
            self.assertEqual(pod["imagePullSecrets"], [{"name": "registry"}])
        for spec in self.sets(*OWN_ETCD).values():
            self.assertFalse({"nodeSelector", "tolerations", "imagePullSecrets"} & set(spec["template"]["spec"]))

    def test_every_value_has_a_rule_and_every_rule_a_value(self):
        with open(os.path.join(CHART, "values.yaml"), encoding="utf-8") as file:
            values = yaml.safe_load(file)
        with open(os.path.join(CHART, "values.schema.json"), encoding="utf-8") as file:
            schema = json.load(file)

        def compare(value, rule, path):
            self.assertFalse(rule["additionalProperties"], path)
            self.assertEqual(set(value) | ({"global"} if not path else set()), set(rule["properties"]), path)
            for name, inner in value.items():
                if "properties" in rule["properties"][name]:
                    compare(inner, rule["properties"][name], f"{path}.{name}")
        compare(values, schema, "")

    def test_peers_are_named_by_their_stable_addresses(self):
        sets = self.sets()
        self.assertIn("3=v-placement-2.v-placement.n.svc:6001/v-placement-2.v-placement.n.svc:7001", self.flags(sets["placement"])["peers"])
        for role in ("worker", "gateway", "auth", "reranker"):
            self.assertEqual(self.flags(sets[role])["placement"].count(":6001"), 3, role)
        for role in ("worker", "reranker"):
            self.assertTrue(self.flags(sets[role])["advertise-grpc"].startswith(f"$(POD).v-{role}.n.svc:"))

    def test_numbers_of_nodes_without_a_majority_are_refused(self):
        self.refused("1, 3, 5", "placement.replicas=2")
        self.refused("1, 3, 5", "etcd.install=true", "etcd.replicas=2")

    def test_settings_that_are_not_known_are_refused(self):
        self.refused("replica", "worker.replica=2")
        self.refused("extraArgs", "gateway.extraArgs=x")
        self.refused("clusterSecret", "clusterSecret=short")

    def test_the_secret_is_made_or_named(self):
        secret = self.render("clusterSecret=0123456789abcdef")["Secret", "v-cluster"]
        self.assertEqual(secret["data"]["cluster-secret"], "MDEyMzQ1Njc4OWFiY2RlZg==")
        for key in ("cluster-secret", "auth-secret"):
            self.assertEqual(len(self.render()["Secret", "v-cluster"]["data"][key]), 88)  # 64 characters, base64
        made = self.render("existingSecret=mine")
        self.assertNotIn("Secret", {kind for kind, _ in made})
        volumes = made["StatefulSet", "v-worker"]["spec"]["template"]["spec"]["volumes"]
        self.assertIn("mine", [volume.get("secret", {}).get("secretName") for volume in volumes])

    def test_certificates_of_the_cluster_stand_in_place_of_the_secret(self):
        for role, spec in self.sets(TLS[0]).items():
            self.assertNotIn("cluster-secret-file", self.flags(spec), role)
            self.assertEqual(self.flags(spec)["cluster-tls-ca"], "/run/vectron-tls/cluster/ca.crt", role)
        for role, spec in self.sets().items():
            self.assertEqual(self.flags(spec)["cluster-secret-file"], "/run/vectron/cluster-secret", role)

    def test_clients_are_shown_a_certificate_and_may_have_to_show_one(self):
        sets = self.sets(*TLS)
        self.assertEqual({role for role, spec in sets.items() if "tls-cert" in self.flags(spec)}, {"gateway", "auth"})
        self.assertNotIn("tls-client-ca", self.flags(sets["gateway"]))
        self.assertIn("tls-client-ca", self.flags(self.sets(*TLS, "tls.clients.clientCa=true")["gateway"]))
        # Gateways would not find the Auth service behind a certificate for clients.
        self.assertNotIn("tls-cert", self.flags(self.sets(TLS[1])["auth"]))

    def test_the_auth_service_keeps_its_records_in_etcd_where_there_is_one(self):
        self.assertNotIn("etcd", self.flags(self.sets()["auth"]))
        own = self.render(*OWN_ETCD)
        flags = self.flags(own["StatefulSet", "v-auth"]["spec"])
        self.assertEqual(flags["etcd"], "v-etcd-client.n.svc:2379")
        self.assertIn(("Service", "v-etcd-client"), own)
        self.assertEqual(flags["auth-secret-file"], "/run/vectron/auth-secret")
        named = self.render("etcd.endpoints=etcd.example:2379")
        self.assertNotIn(("StatefulSet", "v-etcd"), named)
        self.assertEqual(self.flags(named["StatefulSet", "v-auth"]["spec"])["etcd"], "etcd.example:2379")
        self.refused("auth.replicas above 1 needs", "auth.replicas=2")
        self.refused("do not go together", "etcd.install=true", "etcd.endpoints=etcd.example:2379")

    def test_etcd_takes_its_flags(self):
        if not os.access(ETCD, os.X_OK):
            self.skipTest(f"{ETCD} is missing")
        known = subprocess.run([ETCD, "--help"], capture_output=True, text=True, check=False)
        known = set(re.findall(r"--([a-z0-9-]+)", known.stdout + known.stderr))
        for settings in (OWN_ETCD, (*OWN_ETCD, "etcd.tls.existingSecret=etcd")):
            flags = self.flags(self.sets(*settings)["etcd"])
            self.assertLessEqual(set(flags), known)
            members = dict(member.split("=") for member in flags["initial-cluster"].split(","))
            self.assertEqual(len(members), 3)
            self.assertEqual(flags["initial-advertise-peer-urls"].replace("$(POD)", "v-etcd-2"), members["v-etcd-2"])

    def test_a_change_of_options_restarts_the_pods(self):
        def checksum(*settings):
            return self.sets(*settings)["worker"]["template"]["metadata"]["annotations"].get("checksum/files")
        self.assertIsNone(checksum())
        self.assertNotEqual(checksum("worker.options.threads=1"), checksum("worker.options.threads=2"))

    def test_a_network_policy_keeps_strangers_from_internal_ports(self):
        self.assertNotIn("NetworkPolicy", {kind for kind, _ in self.render()})
        made = self.render("networkPolicy.enabled=true", *OWN_ETCD)
        for role in (*ROLES, "etcd"):
            own, *others = made["NetworkPolicy", "v-" + role]["spec"]["ingress"]
            self.assertEqual(own["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/instance"], "v")
            ports = {port["port"] for rule in others for port in rule["ports"]}
            self.assertEqual(ports, {"gateway": {"http", "grpc", "metrics"}, "etcd": set()}.get(role, {"metrics"}))


if __name__ == "__main__":
    unittest.main(verbosity=2)
