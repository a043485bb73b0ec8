"""The description of the HTTP interface is valid, says a published validator."""

import json
import os
import urllib.request

import pytest

validator = pytest.importorskip("openapi_spec_validator", reason="NOT TESTED: openapi-spec-validator is not installed")

KEPT = os.path.join(os.path.dirname(__file__), "..", "..", "..", "docs", "openapi.json")


def test_the_kept_description_is_valid():
    with open(KEPT, encoding="utf-8") as file:
        validator.validate(json.load(file), cls=validator.OpenAPIV31SpecValidator)


def test_the_served_description_is_valid(server):
    with urllib.request.urlopen(f"http://{server.ready['http']}/openapi.json", timeout=30) as answer:
        validator.validate(json.load(answer), cls=validator.OpenAPIV31SpecValidator)
