#!/usr/bin/env python3
"""Every client library offers every public RPC, sets each field of its request, and has the names of the older clients."""
import os
import re
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import api_reference  # noqa: E402

# Where the public methods of a language's client are, and what a declaration of one looks like.
SOURCES = {
    "python": (r"^    (?:async )?def ([a-z]\w*)\(", "python/src/vectron/methods_async.py", "python/src/vectron/client.py",
               "python/src/vectron/admin_methods_async.py"),
    "python asyncio": (r"^    (?:async )?def ([a-z]\w*)\(", "python/src/vectron/methods_async.py", "python/src/vectron/aio.py",
                       "python/src/vectron/admin_methods_async.py"),
    "typescript": (r"^  (?:async )?\*?([a-z]\w*)\(", "typescript/src/client_base.ts", "typescript/src/admin.ts"),
    "go": (r"^func \(\w \*?(?:Client|Admin)\) ([A-Z]\w*)\(", "go/client.go", "go/points.go", "go/batch.go", "go/search.go", "go/auth.go",
           "go/admin.go"),
    "cpp": (r"^  (?:[\w:]+(?:<[\w:]+>)? )([A-Z]\w*)\(", "cpp/include/vectron/client.h", "cpp/include/vectron/admin.h"),
}
# RPCs whose methods are not called as they are. The second UpdateUserProfile is the first one's.
NAMES = {
    "VectronService.ScrollPoints": ("scroll",),
    "VectronService.GetRanking": ("get_ranking", "ranking"),
    "ManagementService.GetSystemHealth": ("health",),
    "ManagementService.GetGatewayStats": ("stats",),
    "ManagementService.ListWorkers": ("workers",),
    "ManagementService.ListCollections": ("collections",),
    "ManagementService.ListAlerts": ("alerts",),
    "ManagementService.GetTimeSeries": ("time_series",),
    "ManagementService.ListSlowQueries": ("slow_queries",),
}
# Where a language makes its requests; what parts its functions; and what sets a field there. A field that is only ever given a
# zero is none that a caller can set.
MAKERS = {
    "python": (r"^(?=(?:    )?(?:async )?(?:def|class) )", r"\b{snake}(?:=|\.CopyFrom\(|(?:\.\w+)? = )", "python/src/vectron/calls.py",
               "python/src/vectron/batch.py"),
    "typescript": (r"^(?=  (?:async )?\*?\w+\(|(?:export )?function )", r"\b{camel}\b(?!: (?:0n?|false|\[\]|{{}})[,}} ])",
                   "typescript/src/grpc_transport.ts"),
    "go": (r"^(?=func |type )", r"\b{pascal}(?::\s+(?!0,|false,|nil,)|(?:, [\w.]+)* = )", "go/client.go", "go/points.go",
           "go/search.go"),
    "cpp": (r"^}\n", r"(?:set|mutable|add)_{snake}\(", "cpp/src/client.cc", "cpp/src/client_impl.h", "cpp/src/convert.cc"),
}
# Written by other code, which has tests of its own: filters by their builders, points and vectors straight into bytes, ranking over
# HTTP, and a user's plan by the call of the same name of the service of users.
ELSEWHERE = {"Filter", "Point", "UpsertRequest.points", "SearchRequest.vector", "GetRankingRequest", "ControlRankingRequest",
             "UpdateUserProfileRequest"}
UNSET = {"SearchParams.target_recall"}  # reserved: the server refuses it
# Where a client says how often it pings a quiet connection unless told otherwise, and how many of its units a second has.
KEEPALIVE = (
    ("python/src/vectron/options.py", r"keepalive_time_seconds: float = ([\d.]+)", 1),
    ("typescript/src/grpc_transport.ts", r"keepaliveTimeMs \?\? ([\d_]+)", 1_000),
    ("go/client.go", r"ClientParameters{Time: (\d+) \* time.Second", 1),
    ("cpp/include/vectron/types.h", r"keepalive_time{([\d']+)}", 1_000),
)
OLDER = ("create_collection", "list_collections", "get_collection_status", "upsert", "upsert_batch", "search", "get", "delete")
OLDER_ERRORS = ("AuthenticationError", "NotFoundError", "InvalidArgumentError", "AlreadyExistsError", "InternalServerError")


def plain(name):
    """create_sdk_jwt, createSdkJwt and CreateSDKJWT are one name."""
    return name.replace("_", "").lower()


def read(path):
    with open(os.path.join(ROOT, "sdk", path), encoding="utf-8") as file:
        return file.read()


def surface(language):
    pattern, *files = SOURCES[language]
    return {plain(name) for path in files for name in re.findall(pattern, read(path), re.M)}


def public_rpcs():
    for name in api_reference.PUBLIC:
        for service in api_reference.parse(os.path.join(ROOT, "proto", "vectron", name + ".proto")).items:
            if service.kind == "service":
                for rpc in api_reference.public(service):
                    yield f"{service.name}.{rpc.name}"


def request_fields():
    """(message, field, the message's parents) of everything that requests of the public service are made of."""
    file = api_reference.parse(os.path.join(ROOT, "proto", "vectron", "vectron.proto"))
    messages = {item.name: item for item in file.items if item.kind == "message"}
    takes = {rpc.takes for service in file.items if service.kind == "service" for rpc in api_reference.public(service)}
    parents, left = {name: set() for name in takes - ELSEWHERE}, sorted(takes - ELSEWHERE)
    while left:
        name = left.pop()
        for field in messages[name].items:
            if field.type in messages and not {field.type, f"{name}.{field.name}"} & ELSEWHERE:
                if field.type not in parents:
                    left.append(field.type)
                parents.setdefault(field.type, set()).add(name)
    for name, above in sorted(parents.items()):
        for field in messages[name].items:
            if f"{name}.{field.name}" not in ELSEWHERE | UNSET:
                yield name, field.name, above


def makers(language):
    """The functions of a language's client, as text."""
    parts, _, *files = MAKERS[language]
    return [part for path in files for part in re.split(parts, read(path), flags=re.M)]


class Parity(unittest.TestCase):
    def test_every_field_of_a_request_can_be_set(self):
        fields = list(request_fields())
        self.assertGreater(len(fields), 60)
        for language, (_, setter, *_) in MAKERS.items():
            functions = makers(language)
            for message, field, above in fields:
                # A message within another is filled in a function of its own, or in that of the outer one; some speak of the
                # answer's type only.
                names = "|".join(re.sub("Request$", "Re(?:quest|sponse)", name) for name in {message, *above})
                text = "\n".join(part for part in functions if re.search(rf"\b(?:{names})\b", part))
                camel = api_reference.camel(field)
                pattern = setter.format(snake=field, camel=camel, pascal=camel[0].upper() + camel[1:])
                with self.subTest(language=language, field=f"{message}.{field}"):
                    self.assertTrue(re.search(pattern, text), f"sdk {language} cannot set {message}.{field}")

    def test_every_public_rpc_has_a_method(self):
        rpcs = list(public_rpcs())
        self.assertGreater(len(rpcs), 40)
        for language in SOURCES:
            offered = surface(language)
            for rpc in rpcs:
                names = NAMES.get(rpc, (rpc.partition(".")[2],))
                with self.subTest(language=language, rpc=rpc):
                    self.assertTrue(offered & {plain(name) for name in names}, f"sdk {language} offers none of {names}")

    def test_no_client_pings_oftener_than_the_server_bears(self):
        least = re.search(r"min_ping_interval_ms = ([\d']+);", read("../src/rpc/grpc_server.h"))
        for path, pattern, units in KEEPALIVE:
            often = re.search(pattern, read(path))
            with self.subTest(path=path):
                self.assertTrue(often)
                seconds = float(re.sub("['_]", "", often[1])) / units
                self.assertGreater(seconds, int(least[1].replace("'", "")) / 1_000)

    def test_every_client_knows_the_words_of_an_answer_that_is_too_large(self):
        words = re.search(r'kTooLarge = ".*(the most of one answer)"', read("../src/model/search.cc"))[1]
        for path in ("python/src/vectron/errors.py", "typescript/src/errors.ts", "go/errors.go", "cpp/src/errors.cc"):
            self.assertIn(f'"{words}"', read(path), path)

    def test_the_names_of_the_older_clients(self):
        for language in SOURCES:
            missing = {plain(name) for name in OLDER} - surface(language)
            self.assertFalse(missing, language)
        for path, names in (
            ("python/src/vectron/__init__.py", ("VectronClient", "VectronClientPool", *OLDER_ERRORS)),
            ("typescript/src/index.ts", ("VectronClient", "VectronClientPool")),
            ("typescript/src/errors.ts", OLDER_ERRORS),
            ("go/client.go", ("VectronClient", "VectronClientPool")),
            ("go/errors.go", [f"Err{name.removesuffix('Error')}" for name in OLDER_ERRORS]),
            ("cpp/include/vectron/client.h", ("VectronClient", "VectronClientPool")),
            ("cpp/include/vectron/errors.h", OLDER_ERRORS),
        ):
            for name in names:
                self.assertRegex(read(path), rf"\b{name}\b", path)


if __name__ == "__main__":
    unittest.main()
