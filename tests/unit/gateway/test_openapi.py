"""The document says what the gateway does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from flask import Flask

from gateway.flows.docs import document
from gateway.web.errors import FIELDS

DOCUMENT = document()
PAGES = {"/", "/train", "/generate", "/chat", "/voices", "/jobs", "/models"}
PAGES |= {"/sign-in", "/sign-out", "/language/{name}", "/static/{filename}"}
METHODS = {"GET", "POST", "PATCH", "DELETE"}


def routes(app: Flask) -> set[tuple[str, str]]:
    found = set()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        if path not in PAGES and not rule.endpoint.startswith("older.to_"):
            found |= {(path, method) for method in rule.methods & METHODS}
    return found


def described() -> set[tuple[str, str]]:
    return {(path, method.upper()) for path, methods in DOCUMENT["paths"].items() for method in methods}


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        yield from ((path, operation) for operation in methods.values())


def test_every_route_is_described_and_nothing_else(gateway: Flask) -> None:
    assert routes(gateway) == described()


def test_path_parameters_are_those_of_the_path() -> None:
    for path, operation in operations():
        told = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
        assert told == set(re.findall(r"{(\w+)}", path)), path


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, operation in operations()]
    assert len(ids) == len(set(ids))


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
        for one in value.values():
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


def test_references_lead_somewhere() -> None:
    for reference in references(DOCUMENT):
        assert reference.rpartition("/")[2] in DOCUMENT["components"]["schemas"], reference


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["schemas"]))
def test_examples_are_what_the_schemas_say(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name] | {"components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(schema["example"], schema, jsonschema.Draft202012Validator)


def test_it_is_served_with_the_version_that_runs(gateway: Flask) -> None:
    served = gateway.test_client().get("/api/v1/openapi.json").get_json()
    assert served == json.loads(json.dumps(DOCUMENT))
    assert served["openapi"].startswith("3.1") and served["info"]["version"] != "0"


def test_errors_are_as_described(gateway: Flask) -> None:
    schema = DOCUMENT["components"]["schemas"]["Error"] | {"components": DOCUMENT["components"]}
    client = gateway.test_client()
    refused = [
        client.post("/api/v1/speech", json={"text": ""}),
        client.get("/api/v1/nothing"),
        client.put("/api/v1/jobs"),
    ]
    for answer in refused:
        jsonschema.validate(answer.get_json(), schema, jsonschema.Draft202012Validator)
    assert [answer.status_code for answer in refused] == [400, 404, 405]


def test_fields_are_renamed_to_ones_that_requests_have() -> None:
    bodies = [
        operation["requestBody"]["content"].values() for _, operation in operations() if "requestBody" in operation
    ]
    known = {name for body in bodies for kind in body for name in kind["schema"]["properties"]}
    headers = {one["name"] for _, operation in operations() for one in operation.get("parameters", [])}
    assert set(FIELDS.values()) <= known | headers
