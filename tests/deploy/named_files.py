"""Files in place of those that the options of a deployment name, so that the program can check the options."""
import os
import subprocess


def make(folder):
    """A secret, and a certificate that signed itself, with its key: {kind: path}."""
    files = {kind: os.path.join(folder, kind) for kind in ("secret", "certificate", "key")}
    with open(files["secret"], "w", encoding="utf-8") as file:
        file.write("x" * 32)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                    "-subj", "/CN=test", "-keyout", files["key"], "-out", files["certificate"]], check=True, capture_output=True)
    return files


def instead(path, files):
    """The file that stands for one of a deployment."""
    name = os.path.basename(path)
    return files["key" if name.endswith(".key") else "certificate" if name.endswith(".crt") else "secret"]
