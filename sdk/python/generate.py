"""Makes src/vectron/*_pb2.py from the .proto files: by `protoc` on PATH, else by grpcio-tools. Quick when they are up to date.
And methods.py and admin_methods.py, the calls of the blocking client, from those of the asynchronous one.

python3 generate.py [--out FOLDER]      FOLDER holds the package `vectron`; src by default
"""

import argparse
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FIRST = "vectron"


def proto_folder():
    """That of the repository, else that of a source package."""
    for folder in (os.path.join(HERE, "..", "..", "proto"), os.path.join(HERE, "proto")):
        if os.path.isfile(os.path.join(folder, "vectron", "vectron.proto")):
            return folder
    raise SystemExit("generate: no proto/vectron/vectron.proto beside this script or at the repository's top")


def needed(folder):
    """Names of the public service's file and of what it imports of ours, directly or not."""
    names, left = [], [FIRST]
    while left:
        name = left.pop()
        if name in names:
            continue
        names.append(name)
        with open(os.path.join(folder, "vectron", name + ".proto"), encoding="utf-8") as file:
            left += re.findall(r'^import "vectron/(\w+)\.proto";', file.read(), re.M)
    return names


def copy_protos():
    target = os.path.join(HERE, "proto", "vectron")
    source = proto_folder()
    if os.path.abspath(os.path.join(source, "vectron")) == os.path.abspath(target):
        return
    os.makedirs(target, exist_ok=True)
    for name in needed(source):
        shutil.copy(os.path.join(source, "vectron", name + ".proto"), target)


def make_methods(out, name):
    """{name}.py is {name}_async.py without waiting."""
    with open(os.path.join(HERE, "src", "vectron", name + "_async.py"), encoding="utf-8") as file:
        text = file.read()
    for pattern, replacement in (
        (r'\A"""(?s:.*?)"""', f'"""Made by generate.py from {name}_async.py: change that."""'),
        (r"\basync def ", "def "),
        (r"\bawait ", ""),
        (r"\bAsync(?=Methods|AdminMethods|Iterator)", ""),
    ):
        text = re.sub(pattern, replacement, text)
    path = os.path.join(out, "vectron", name + ".py")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main(out=os.path.join(HERE, "src")):
    for name in ("methods", "admin_methods"):
        make_methods(out, name)
    folder = proto_folder()
    names = needed(folder)
    protos = [os.path.join(folder, "vectron", name + ".proto") for name in names]
    made = [os.path.join(out, "vectron", name + "_pb2.py") for name in names]
    newest = max(os.path.getmtime(path) for path in protos)
    if all(os.path.isfile(path) and os.path.getmtime(path) >= newest for path in made):
        return
    protoc = [shutil.which("protoc")] if shutil.which("protoc") else [sys.executable, "-m", "grpc_tools.protoc"]
    os.makedirs(os.path.join(out, "vectron"), exist_ok=True)
    command = [*protoc, f"--proto_path={folder}", f"--python_out={out}", f"--pyi_out={out}", *protos]
    if subprocess.run(command, check=False).returncode != 0:
        raise SystemExit("generate: protoc failed; install protobuf-compiler (apt) or grpcio-tools (pip)")
    for path in made:
        os.utime(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default=os.path.join(HERE, "src"))
    main(parser.parse_args().out)
