#!/usr/bin/env python3
"""The Debian packages: built, unpacked and run from there; then installed, started, removed and purged on a copy of this system."""
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

BUILD = os.environ.get("VECTRON_BUILD_DIR", "")


# On a copy of this system that lives in memory: dpkg's own way in and out. $1: an empty folder, $2: the packages.
OUTSIDE = r"""
mount -t tmpfs -o size=4g none "$1"
mkdir "$1"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount -t tmpfs none "$1/root/run"
mount --rbind /dev "$1/root/dev"
mount --bind "$2" "$1/root/mnt"
inside() { chroot "$1/root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive bash -euo pipefail -c "$2"; }
left() { cd "$1/upper" && find . -type f -o -type l -o -type c | sort; }
inside "$1" "$USE"
left "$1" >"$2/left-with-data"
inside "$1" "$LEAVE"
left "$1" >"$2/left-without"
"""
USE = r"""
dpkg -i /mnt/*.deb
[ "$(stat -c %U:%G:%a /var/lib/vectron)" = vectron:vectron:750 ]
[ "$(stat -c %U:%G:%a /etc/vectron)" = root:vectron:750 ]
runuser -u vectron -- cat /etc/vectron/dev.toml >/dev/null
[ -z "$(runuser -u nobody -- cat /etc/vectron/dev.toml 2>/dev/null)" ]
! command -v systemd-analyze >/dev/null || systemd-analyze verify --man=no /usr/lib/systemd/system/vectron-*.service
install -d -o vectron -g vectron -m 700 /var/lib/vectron/dev  # as the unit's StateDirectory= does
exec 3< <(exec runuser -u vectron -- /usr/bin/vectron dev --config /etc/vectron/dev.toml --data /var/lib/vectron/dev \
  --auth off --http 127.0.0.1:0 --grpc 127.0.0.1:0 --metrics 127.0.0.1:0 2>/mnt/log)
server=$!
read -r -t 60 -u 3 ready
host() { sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/" <<<"$ready"; }
printf '{"id":"a","vector":[1,0]}\n{"id":"b","vector":[0,1]}\n' >/mnt/points.jsonl
vectronctl --host "$(host grpc)" import docs /mnt/points.jsonl --create --dim 2 --resume /mnt/resume
vectronctl --host "$(host grpc)" search docs --vector 0.1,0.9 -k 1 >/mnt/found
[ ! -e /usr/share/vectron/console ] || curl -fsS -H "Accept: text/html" "http://$(host http)/" >/mnt/page
echo "# mine" >>/etc/vectron/worker.toml
chmod 0700 /var/lib/vectron
dpkg -i /mnt/*.deb  # the next version, while the server runs
[ "$(tail -1 /etc/vectron/worker.toml)" = "# mine" ]
[ "$(stat -c %U:%G:%a /var/lib/vectron)" = vectron:vectron:700 ]
for run in 1 2; do sh -e /var/lib/dpkg/info/vectron-server.postinst configure; done  # as after an interruption
vectronctl --host "$(host grpc)" search docs --vector 0.9,0.1 -k 1 >/mnt/found-later
kill -TERM $server
cat <&3 >/dev/null
installed=$(dpkg-query -W -f "\${Package}\n" "vectron-*" | tr "\n" " ")
enabled=/etc/systemd/system/multi-user.target.wants  # as `systemctl enable` would
mkdir -p $enabled
ln -s /usr/lib/systemd/system/vectron-worker.service $enabled/vectron-worker.service
ln -s /usr/lib/systemd/system/vectron@.service $enabled/vectron@dev.service
ln -s /usr/lib/systemd/system/vectron-worker.service $enabled/vectron-of-others.service
dpkg -r $installed
[ ! -e /usr/bin/vectron ] && [ -e /etc/vectron/dev.toml ] && [ -L $enabled/vectron-worker.service ]
dpkg -P $installed
[ ! -e /etc/vectron ] && [ ! -L $enabled/vectron-worker.service ] && [ ! -L $enabled/vectron@dev.service ]
rm $enabled/vectron-of-others.service
getent passwd vectron >/dev/null  # whose data is still there
"""
LEAVE = r"""
rm -r /var/lib/vectron/dev
dpkg -i /mnt/*.deb
dpkg -P $(dpkg-query -W -f "\${Package}\n" "vectron-*")
[ ! -e /var/lib/vectron ] && ! getent passwd vectron >/dev/null && ! getent group vectron >/dev/null
"""
# What dpkg, the lists of users and the linker's cache keep for themselves.
BOOKKEEPING = re.compile(r"\./(var/lib/dpkg/|var/log/|var/cache/|etc/(passwd|shadow|group|gshadow|subuid|subgid)-?$|etc/ld\.so\.cache$|etc/\.pwd\.lock$)")


def can_have_a_copy_of_the_system():
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    folder = tempfile.mkdtemp(prefix="vectron-copy-")
    try:
        script = 'mount -t tmpfs none "$1" && mkdir "$1"/{u,w,r} && mount -t overlay o -o "lowerdir=/,upperdir=$1/u,workdir=$1/w" "$1/r"'
        return subprocess.run(["unshare", "-m", "bash", "-c", script, "-", folder], capture_output=True, check=False).returncode == 0
    finally:
        os.rmdir(folder)


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


@unittest.skipUnless(shutil.which("dpkg-shlibdeps"), "dpkg-dev is not installed: no package can be built")
class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="vectron-packages-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        run("cpack", "-G", "DEB", "-B", cls.folder, "--config", os.path.join(BUILD, "CPackConfig.cmake"), cwd=BUILD)
        cls.packages = {os.path.basename(path).split("_")[0]: path for path in glob.glob(os.path.join(cls.folder, "*.deb"))}
        cls.root = os.path.join(cls.folder, "root")
        for path in cls.packages.values():
            run("dpkg-deb", "--extract", path, cls.root)

    def field(self, package, name):
        return run("dpkg-deb", "--field", self.packages[package], name).strip()

    def test_control(self):
        self.assertLessEqual({"vectron-server", "vectron-cli"}, set(self.packages))
        depends = self.field("vectron-server", "Depends")
        for package in ("librocksdb", "libgrpc++", "libc6", "passwd"):
            self.assertIn(package, depends)
        control = os.path.join(self.folder, "control")
        run("dpkg-deb", "--control", self.packages["vectron-server"], control)
        with open(os.path.join(control, "conffiles"), encoding="utf-8") as file:
            kept = {self.root + name for name in file.read().split()}
        self.assertEqual(kept, set(glob.glob(self.root + "/etc/vectron/*")), "what people change is asked about, and nothing else")
        for script in ("postinst", "prerm", "postrm"):
            run("sh", "-n", os.path.join(control, script))
            self.assertTrue(os.access(os.path.join(control, script), os.X_OK), script)

    def test_packages_of_programs_have_their_licence(self):
        for package in ("vectron-server", "vectron-cli"):
            self.assertTrue(os.path.exists(f"{self.root}/usr/share/doc/{package}/copyright"), package)

    def test_units_start_what_is_installed(self):
        units = glob.glob(self.root + "/usr/lib/systemd/system/*.service") + glob.glob(self.root + "/lib/systemd/system/*.service")
        self.assertGreaterEqual(len(units), 6)
        for unit in units:
            with open(unit, encoding="utf-8") as file:
                start = [line for line in file if line.startswith("ExecStart=")]
            self.assertEqual(len(start), 1, unit)
            program = start[0].split("=", 1)[1].split()[0]
            self.assertTrue(os.access(self.root + program, os.X_OK), unit)

    def test_options_files_are_right(self):
        secret = os.path.join(self.folder, "secret")
        with open(secret, "w", encoding="utf-8") as file:
            file.write("x" * 32)
        vectron = self.root + "/usr/bin/vectron"
        for path in glob.glob(self.root + "/etc/vectron/*.toml"):
            role = os.path.basename(path).removesuffix(".toml")
            more = [] if role == "dev" else ["--cluster-secret-file", secret]
            self.assertIn("is right", run(vectron, "config", "check", role, "--config", path, *more))

    def test_a_single_node_starts_and_answers(self):
        config = os.path.join(self.root, "etc", "vectron", "dev.toml")
        server = subprocess.Popen([self.root + "/usr/bin/vectron", "dev", "--config", config, "--data", os.path.join(self.folder, "node"),
                                   "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--auth", "off"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            ready = json.loads(server.stdout.readline())
            ctl = [self.root + "/usr/bin/vectronctl", "--host", ready["grpc"]]
            run(*ctl, "create", "docs", "--dim", "2")
            self.assertIn("docs", run(*ctl, "list"))
        finally:
            server.terminate()
            server.wait(60)
            server.stdout.close()

    @unittest.skipUnless(can_have_a_copy_of_the_system(), "no right to mount a copy of this system")
    def test_installed_started_removed_and_purged_nothing_stays_but_data(self):
        folder, packages = os.path.join(self.folder, "copy"), os.path.join(self.folder, "packages")
        os.mkdir(folder)
        os.mkdir(packages)
        for path in self.packages.values():
            shutil.copy(path, packages)
        run("unshare", "-m", "-p", "-f", "--kill-child", "bash", "-euo", "pipefail", "-c", OUTSIDE, "-", folder, packages,
            env={**os.environ, "USE": USE, "LEAVE": LEAVE})

        def said(name):
            with open(os.path.join(packages, name), encoding="utf-8") as file:
                return file.read()

        self.assertRegex(said("found"), r"\bb\b")
        self.assertRegex(said("found-later"), r"\ba\b")
        if "index.html" in run("dpkg-deb", "--contents", self.packages["vectron-console"]):
            self.assertIn('<div id="root">', said("page"))
        left = [path for path in said("left-with-data").split() if not BOOKKEEPING.match(path)]
        self.assertTrue(left)
        self.assertEqual([path for path in left if not path.startswith("./var/lib/vectron/dev/")], [])
        self.assertEqual([path for path in said("left-without").split() if not BOOKKEEPING.match(path)], [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
