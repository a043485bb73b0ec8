"""A throw-away certificate authority, made with openssl: for clusters on one machine and for tests."""
import os
import subprocess

DAYS = "30"
EXTENSIONS = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nbasicConstraints=CA:FALSE\nauthorityKeyIdentifier=keyid\n"


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stdout.strip()}")


class Authority:
    """The authority of a folder: FOLDER/ca.crt and what it has signed. Made when it is not there yet."""

    def __init__(self, folder, name="Vectron throw-away CA"):
        self.folder = folder
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.ca = os.path.join(folder, "ca.crt")
        self.ca_key = os.path.join(folder, "ca.key")
        if not os.path.exists(self.ca):
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", DAYS, "-subj", f"/CN={name}",
                    "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", self.ca_key, "-out", self.ca)

    def issue(self, name):
        """Paths of a certificate for this machine's own addresses and of its key. Replaces those of the same name, each at once."""
        certificate, key = (os.path.join(self.folder, f"{name}.{kind}") for kind in ("crt", "key"))
        request, extensions = key + ".csr", key + ".ext"
        with open(extensions, "w", encoding="utf-8") as file:
            file.write(EXTENSIONS)
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", key + ".new",
                "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.ca_key, "-CAcreateserial", "-days", DAYS, "-extfile", extensions,
                "-out", certificate + ".new")
        os.chmod(key + ".new", 0o600)
        os.replace(key + ".new", key)
        os.replace(certificate + ".new", certificate)
        os.remove(request)
        os.remove(extensions)
        return certificate, key
