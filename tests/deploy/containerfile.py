"""The Containerfile: its steps, and the files that a build of it is given."""
import os
import re
import shutil

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAME = os.path.join("deploy", "container", "Containerfile")


def steps():
    """[[instruction, the rest of it]], without comments, continued lines made one."""
    with open(os.path.join(ROOT, NAME), encoding="utf-8") as file:
        text = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", file.read()))
    return [line.split(None, 1) for line in text.splitlines() if line.strip()]


def ignored():
    """Matches paths, from the root of the project, that .dockerignore keeps out of a build."""
    with open(os.path.join(ROOT, ".dockerignore"), encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    parts = [re.escape(line).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*") for line in lines if line and not line.startswith("#")]
    return re.compile(f"(?:{'|'.join(parts)})(?:/.*)?")


def context():
    """Paths of the files that a build is given."""
    out, pattern = set(), ignored()
    for folder, folders, names in os.walk(ROOT):
        inner = os.path.relpath(folder, ROOT)

        def left_out(name, inner=inner):
            return pattern.fullmatch(os.path.normpath(os.path.join(inner, name))) is not None
        folders[:] = [name for name in folders if not left_out(name)]
        out.update(os.path.normpath(os.path.join(inner, name)) for name in names if not left_out(name))
    return out


def make_context(folder):
    """Copies the files that a build is given."""
    for path in context():
        target = os.path.join(folder, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(os.path.join(ROOT, path), target, follow_symlinks=False)


def copy(sources, target):
    """As COPY does: a folder gives what it holds, a file goes into a folder when the target ends in / or there are several."""
    into = target.endswith(("/", "/.")) or len(sources) > 1
    for source in sources:
        if os.path.isdir(source):
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
            continue
        end = os.path.join(target, os.path.basename(source)) if into or os.path.isdir(target) else target
        os.makedirs(os.path.dirname(end), exist_ok=True)
        shutil.copy2(source, end)
