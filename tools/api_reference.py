#!/usr/bin/env python3
"""docs/api-reference.md from the .proto files of the public services.

python3 tools/api_reference.py            writes it
python3 tools/api_reference.py --check    fails when it is out of date, or when an RPC, field or value of an enum has no comment,
                                          in the protos of the internal services too

Reads the protos as text, in the style they are written in: one field, value or RPC a line, with its comment above it or behind it.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PUBLIC = ("vectron", "auth", "management", "reranker")  # their services, and what those speak of
INTERNAL = ("placement", "worker")  # not in the reference, but others speak them too
TARGET = os.path.join(ROOT, "docs", "api-reference.md")
COMMENT = re.compile(r"//\s?(.*)$")
FIELD = re.compile(r"^(repeated |optional )?(map<\w+, ?[\w.]+>|[\w.]+) (\w+) = (\d+)(?: \[json_name = \"(\w+)\"\])?;$")
VALUE = re.compile(r"^(\w+) = (\d+);$")
RPC = re.compile(r"^rpc (\w+)\((\w+)\) returns \((stream )?([\w.]+)\) \{$")
ROUTE = re.compile(r"(\w+): (\"[^\"]*\"|\w+)")


class Item:
    """A file, service, RPC, message, enum, field or value."""

    def __init__(self, kind, name, doc, **more):
        self.kind, self.name, self.doc = kind, name, doc
        self.items = []
        self.__dict__.update(more)


def parse(path):
    """The file as an Item of kind "file"."""
    file = Item("file", os.path.basename(path), "", package="")
    stack, above = [file], []
    with open(path, encoding="utf-8") as text:
        for number, line in enumerate(text, 1):
            code, _, behind = line.strip().partition("//")
            code, behind = code.strip(), behind.strip()
            if not code:
                if line.strip() != "//":
                    above = above + [behind] if behind and not behind.startswith("---") else []
                continue
            item = element(code, " ".join(above + ([behind] if behind else [])).strip(), file, stack[-1])
            above = []
            if item is not None:
                item.line = f"{path}:{number}"
                stack[-1].items.append(item)
            if code.endswith("{"):
                stack.append(item or stack[-1])  # what a oneof holds belongs to its message
            elif code == "}":
                stack.pop()
    return file


def element(code, doc, file, parent):
    """What a line of code declares; None: nothing of interest."""
    if match := re.match(r"^package ([\w.]+);$", code):
        file.package, file.doc = match[1], doc
    elif match := re.match(r"^(service|message|enum) (\w+) \{(\})?$", code):
        return Item(match[1], match[2], doc)
    elif match := RPC.match(code):
        return Item("rpc", match[1], doc, takes=match[2], stream=bool(match[3]), gives=match[4], route={})
    elif code.startswith("option (vectron.options.route)"):
        parent.route = {key: value.strip('"') for key, value in ROUTE.findall(code.partition("{")[2])}
    elif parent.kind == "message" and (match := FIELD.match(code)):
        return Item("field", match[3], doc, label=(match[1] or "").strip(), type=match[2], json=match[5] or camel(match[3]))
    elif parent.kind == "enum" and (match := VALUE.match(code)):
        return Item("value", match[1], doc)
    return None


def camel(name):
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def uncommented(file):
    """Where comments are missing. Names of messages with one field, such as an answer's only content, need none themselves."""
    for item in file.items:
        for part in item.items:
            if part.kind in ("field", "value", "rpc") and not part.doc:
                yield f"{part.line}: {item.name}.{part.name} has no comment"


def anchor(package, name):
    return f"{package}.{name}".lower().replace(".", "")


def link(type_name, package, known):
    """A type, linked when it is described here."""
    if match := re.match(r"^map<(\w+), ?([\w.]+)>$", type_name):
        return f"map of {match[1]} to {link(match[2], package, known)}"
    full = type_name if "." in type_name else f"{package}.{type_name}"
    if full not in known:
        return type_name.removeprefix("google.protobuf.")
    return f"[{type_name.rpartition('.')[2]}](#{anchor(*full.rsplit('.', 1))})"


def reachable(files):
    """Full names of the messages and enums that public RPCs speak of."""
    types = {f"{file.package}.{item.name}": (file, item) for file in files for item in file.items if item.kind in ("message", "enum")}
    found, left = set(), []
    for file in files:
        for service in file.items:
            if service.kind == "service":
                for rpc in public(service):
                    left += [(file.package, rpc.takes), (file.package, rpc.gives)]
    while left:
        package, name = left.pop()
        full = name if "." in name else f"{package}.{name}"
        if full in found or full not in types:
            continue
        found.add(full)
        file, item = types[full]
        for part in item.items:
            if part.kind == "field":
                left += [(file.package, word) for word in re.findall(r"[\w.]+", part.type)]
    return found


def public(service):
    return [rpc for rpc in service.items if rpc.kind == "rpc" and rpc.route.get("scope") != "SCOPE_INTERNAL"]


def cell(text):
    return text.replace("|", "\\|")


def render(files):
    known = reachable(files)
    out = [
        "# API reference",
        "",
        "Every RPC over gRPC and HTTP/JSON, made from the comments of [proto/vectron](../proto/vectron) by `tools/api_reference.py`. Over HTTP, fields",
        "of the path are taken from it, those of a GET or DELETE from the query, others from the body; names of JSON are given where they are not the",
        "field's in lower camel case. A running server describes its HTTP interface at `/openapi.json` (OpenAPI 3.1; kept as [openapi.json](openapi.json)).",
        "Rights: `public`, `user` (a login), `read`, `write`, `admin`: see [security](security.md).",
    ]
    for file in files:
        for service in file.items:
            if service.kind == "service" and public(service):
                out += ["", f"## {service.name}", "", f"`{file.package}.{service.name}`. {file.doc}", ""]
                out += ["| RPC | HTTP | right | what it does |", "|---|---|---|---|"]
                for rpc in public(service):
                    http = f"`{rpc.route['verb']} {rpc.route['path']}`" if rpc.route.get("verb") else "gRPC only"
                    takes, gives = (link(name, file.package, known) for name in (rpc.takes, rpc.gives))
                    scope = rpc.route["scope"].removeprefix("SCOPE_").lower()
                    arrow = f"{takes} → {'stream of ' if rpc.stream else ''}{gives}"
                    out.append(f"| **{rpc.name}**<br>{arrow} | {http} | {scope} | {cell(rpc.doc)} |")
    for file in files:
        for item in file.items:
            full = f"{file.package}.{item.name}"
            if full not in known:
                continue
            out += ["", f"### {full}", ""]
            if item.doc:
                out += [item.doc, ""]
            if not item.items:
                out.append("No fields.")
            elif item.kind == "enum":
                out += ["| value | meaning |", "|---|---|"]
                out += [f"| `{value.name}` | {cell(value.doc)} |" for value in item.items]
            else:
                out += ["| field | type | meaning |", "|---|---|---|"]
                for field in item.items:
                    name = f"`{field.name}`" + (f" (JSON `{field.json}`)" if field.json != camel(field.name) else "")
                    kind = {"repeated": "list of ", "optional": "optional "}.get(field.label, "") + link(field.type, file.package, known)
                    out.append(f"| {name} | {kind} | {cell(field.doc)} |")
    return "\n".join(out) + "\n"


def main():
    files = [parse(os.path.join(ROOT, "proto", "vectron", name + ".proto")) for name in PUBLIC + INTERNAL]
    text = render(files[: len(PUBLIC)])
    if sys.argv[1:] != ["--check"]:
        with open(TARGET, "w", encoding="utf-8") as file:
            file.write(text)
        return
    faults = [fault for file in files for fault in uncommented(file)]
    if not os.path.exists(TARGET) or open(TARGET, encoding="utf-8").read() != text:
        faults.append(f"{os.path.relpath(TARGET, ROOT)} is out of date: run python3 tools/api_reference.py")
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
