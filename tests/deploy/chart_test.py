#!/usr/bin/env python3
"""The Helm chart by Helm itself: it lints, and what it renders is what a cluster needs."""
import os
import subprocess
import sys
import unittest

try:
    import yaml
except ImportError:  # Debian's package is for Debian's Python
    if sys.executable == "/usr/bin/python3":
        raise
    os.execv("/usr/bin/python3", ["/usr/bin/python3", "-B", *sys.argv])

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHART = os.path.join(ROOT, "deploy", "helm", "vectron")
ROLES = ("placement", "worker", "gateway", "auth")


class Chart(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        found = subprocess.run([os.path.join(ROOT, "tools", "setup-languages.sh"), "helm"], capture_output=True, text=True, check=False)
        if found.returncode != 0:
            raise unittest.SkipTest("Helm cannot be had here: " + found.stderr)
        cls.helm = os.path.join(found.stdout.strip(), "helm")

    def run_helm(self, *arguments):
        return subprocess.run([self.helm, *arguments], capture_output=True, text=True, check=False)

    def render(self, *settings):
        """What the chart makes of values: {(kind, name): object}."""
        arguments = [part for setting in settings for part in ("--set", setting)]
        run = self.run_helm("template", "v", CHART, "--namespace", "n", *arguments)
        self.assertEqual(run.returncode, 0, run.stderr)
        return {(part["kind"], part["metadata"]["name"]): part for part in yaml.safe_load_all(run.stdout) if part}

    def sets(self, *settings):
        return {name[2:]: part["spec"] for (kind, name), part in self.render(*settings).items() if kind == "StatefulSet"}

    def test_lint(self):
        for values in ([], ["--set", "antiAffinity=hard,existingSecret=mine,metrics.scrapeAnnotations=false"]):
            run = self.run_helm("lint", "--strict", CHART, *values)
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_every_role_has_a_set_a_service_and_a_volume(self):
        made = self.render("worker.replicas=5", "worker.storageClass=fast")
        sets = self.sets("worker.replicas=5", "worker.storageClass=fast")
        self.assertEqual(set(sets), set(ROLES))
        self.assertEqual(sets["worker"]["replicas"], 5)
        self.assertEqual(sets["worker"]["volumeClaimTemplates"][0]["spec"]["storageClassName"], "fast")
        for role, spec in sets.items():
            self.assertIn(("Service", spec["serviceName"]), made)
            self.assertEqual(spec["volumeClaimTemplates"][0]["metadata"]["name"], "data")
            labels = spec["template"]["metadata"]["labels"]
            self.assertEqual(spec["selector"]["matchLabels"], {key: labels[key] for key in spec["selector"]["matchLabels"]})
            (container,) = spec["template"]["spec"]["containers"]
            self.assertEqual({"data", "secret", "tmp"}, {mount["name"] for mount in container["volumeMounts"]})
            self.assertIn("readinessProbe", container)
            self.assertIn("livenessProbe", container)

    def test_replicas_that_keep_the_cluster_alive_have_a_disruption_budget(self):
        made = self.render()
        for role in ("placement", "worker", "gateway"):
            self.assertEqual(made["PodDisruptionBudget", "v-" + role]["spec"]["maxUnavailable"], 1)

    def test_nothing_runs_with_rights_it_does_not_need(self):
        for role, spec in self.sets().items():
            pod = spec["template"]["spec"]
            self.assertTrue(pod["securityContext"]["runAsNonRoot"], role)
            (container,) = pod["containers"]
            self.assertEqual(container["securityContext"]["capabilities"], {"drop": ["ALL"]}, role)
            self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"], role)

    def test_affinity_is_soft_or_hard(self):
        for value, key in (("soft", "preferredDuringSchedulingIgnoredDuringExecution"), ("hard", "requiredDuringSchedulingIgnoredDuringExecution")):
            for spec in self.sets("antiAffinity=" + value).values():
                self.assertEqual(list(spec["template"]["spec"]["affinity"]["podAntiAffinity"]), [key])

    def test_peers_are_named_by_their_stable_addresses(self):
        sets = self.sets()
        self.assertIn("3=v-placement-2.v-placement.n.svc:6001/v-placement-2.v-placement.n.svc:7001",
                      sets["placement"]["template"]["spec"]["containers"][0]["args"][0])
        for role in ("worker", "gateway", "auth"):
            arguments = sets[role]["template"]["spec"]["containers"][0]["args"]
            (placement,) = [argument for argument in arguments if argument.startswith("--placement=")]
            self.assertEqual(placement.count(":6001"), 3, role)

    def test_an_even_number_of_placement_nodes_is_refused(self):
        wrong = self.run_helm("template", "v", CHART, "--set", "placement.replicas=2")
        self.assertNotEqual(wrong.returncode, 0)
        self.assertIn("1, 3 or 5", wrong.stderr)

    def test_the_secret_is_made_or_named(self):
        secret = self.render("clusterSecret=0123456789abcdef")["Secret", "v-cluster"]
        self.assertEqual(secret["data"]["cluster-secret"], "MDEyMzQ1Njc4OWFiY2RlZg==")
        self.assertEqual(len(self.render()["Secret", "v-cluster"]["data"]["cluster-secret"]), 88)  # 64 characters, base64
        made = self.render("existingSecret=mine")
        self.assertNotIn("Secret", {kind for kind, _ in made})
        volumes = made["StatefulSet", "v-worker"]["spec"]["template"]["spec"]["volumes"]
        self.assertIn({"name": "secret", "secret": {"secretName": "mine"}}, volumes)


if __name__ == "__main__":
    unittest.main(verbosity=2)
