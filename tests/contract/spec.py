"""Checks requests and answers against bol's published API descriptions (`../shared/bol/spec`)."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

SPEC_FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "bol" / "spec"

# Offers come first: v10 and v11 share their addresses, and the connector speaks v11 there.
DESCRIPTIONS = ("spec/offers-v11.3*.yaml", "spec/retailer-v10*.json", "spec/shared-v10*.json")
SHARED_PARTS = ("common/responses.yaml",)
BASE = "https://descriptions.invalid/"
METHODS = frozenset({"get", "post", "put", "patch", "delete", "head"})

formats = FormatChecker(formats=())


def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def _is_date(value: object) -> bool:
    return not isinstance(value, str) or bool(date.fromisoformat(value))


def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or bool(uuid.UUID(value))


def _is_int32(value: object) -> bool:
    return not isinstance(value, int) or -(2**31) <= value < 2**31


def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or bool(urlsplit(value).scheme)


formats.checks("date-time", raises=ValueError)(_is_date_time)
formats.checks("date", raises=ValueError)(_is_date)
formats.checks("uuid", raises=ValueError)(_is_uuid)
formats.checks("int32", raises=ValueError)(_is_int32)
formats.checks("uri", raises=ValueError)(_is_uri)


@dataclass(frozen=True)
class Operation:
    """One method of one path template; `uri` points at its node in the description."""

    template: str
    uri: str
    node: dict[str, Any]
    parameters: list[dict[str, Any]]
    path_values: dict[str, str]


def require_descriptions() -> None:
    """Skip the calling test where the descriptions do not lie beside the repository."""
    if not SPEC_FOLDER.is_dir():
        pytest.skip("bol's published descriptions are not in ../shared/bol/spec")


def validate_response(
    method: str,
    path: str,
    status: int,
    media_type: str | None,
    body: Any = None,
    *,
    known_extras: frozenset[str] = frozenset(),
) -> None:
    """Raise AssertionError unless the description declares this answer.

    `known_extras` names fields that bol sends although the description lacks them, as `Link.method`.
    """
    operation = find_operation(method, path)
    where = f"{method.upper()} {operation.template} -> {status}"
    responses = operation.node["responses"]
    assert str(status) in responses, f"{where}: only {', '.join(responses)} are declared"
    uri, declared = _follow(f"{operation.uri}/responses/{status}")
    content = declared.get("content") or {}
    if status == 204 or not content:
        assert body in (None, "", b""), f"{where}: no body is declared, got {body!r}"
        return
    _check_body(where, uri, content, media_type, body, known_extras)


def validate_request(
    method: str,
    path: str,
    query: Mapping[str, str | Sequence[str]] | None = None,
    media_type: str | None = None,
    body: Any = None,
) -> None:
    """Raise AssertionError unless the description allows this request, without unknown fields or parameters."""
    operation = find_operation(method, path)
    where = f"{method.upper()} {operation.template}"
    _check_parameters(where, operation, dict(query or {}))
    declared = operation.node.get("requestBody")
    if declared is None:
        assert body in (None, "", b""), f"{where}: takes no body, got {body!r}"
        return
    if body in (None, "", b"") and not declared.get("required"):
        return
    _check_body(where, f"{operation.uri}/requestBody", declared["content"], media_type, body, frozenset())


def find_operation(method: str, path: str) -> Operation:
    """Find the operation whose path template fits best (most literal segments) over all descriptions."""
    wanted = urlsplit(path).path.rstrip("/")
    best: tuple[int, Operation] | None = None
    for name, document in _documents().items():
        for template, node in (document.get("paths") or {}).items():
            values = _match(template, wanted)
            if values is None or method.lower() not in node:
                continue
            literal = template.count("/") - template.count("{")
            if best is None or literal > best[0]:
                operation = node[method.lower()]
                parameters = [*node.get("parameters", []), *operation.get("parameters", [])]
                uri = f"{BASE}{name}#/paths/{_escape(template)}/{method.lower()}"
                best = (literal, Operation(template, uri, operation, parameters, values))
        if best is not None and name.startswith("spec/offers"):
            break
    assert best is not None, f"{method.upper()} {wanted}: not in any of bol's descriptions"
    return best[1]


def _check_body(
    where: str,
    uri: str,
    content: dict[str, Any],
    media_type: str | None,
    body: Any,
    known_extras: frozenset[str],
) -> None:
    bare = (media_type or "").split(";")[0].strip().lower()
    assert bare in content, f"{where}: media type {media_type!r}, declared are {', '.join(content)}"
    schema_node = content[bare].get("schema")
    if schema_node is None:
        return
    value = body
    if isinstance(body, (bytes, str)):
        try:
            value = json.loads(body)
        except ValueError as error:
            raise AssertionError(f"{where}: the body is not JSON: {error}") from None
    schema_uri = f"{uri}/content/{_escape(bare)}/schema"
    validator = Draft202012Validator({"$ref": schema_uri}, registry=_registry(), format_checker=formats)
    errors = [f"  {_at(error.absolute_path)}: {error.message}" for error in validator.iter_errors(value)]
    errors += [
        f"  {name}: not in the description"
        for name in unknown_fields(schema_uri, value)
        if name.rsplit(".", 1)[-1] not in known_extras
    ]
    assert not errors, "\n".join([f"{where} does not fit bol's description:", *errors])


def _check_parameters(where: str, operation: Operation, query: dict[str, Any]) -> None:
    declared = {item["name"]: item for item in operation.parameters if item["in"] == "query"}
    for name in query:
        assert name in declared, f"{where}: unknown query parameter {name!r}, declared are {sorted(declared)}"
    for item in operation.parameters:
        if item["in"] == "header":
            continue
        given = (query if item["in"] == "query" else operation.path_values).get(item["name"])
        if given is None:
            assert not item.get("required"), f"{where}: {item['in']} parameter {item['name']!r} is required"
            continue
        schema = item["schema"]
        for error in Draft202012Validator(schema, format_checker=formats).iter_errors(_parsed(given, schema)):
            raise AssertionError(f"{where}: {item['in']} parameter {item['name']!r}: {error.message}")


def _parsed(given: str | Sequence[str], schema: dict[str, Any]) -> Any:
    """Give a parameter's text the type that the schema names, where it can."""
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if "array" in kinds:
        return [given] if isinstance(given, str) else list(given)
    text = str(given)
    if "integer" in kinds and re.fullmatch(r"-?\d+", text):
        return int(text)
    if "boolean" in kinds and text in ("true", "false"):
        return text == "true"
    return text


def unknown_fields(schema_uri: str, value: Any) -> Iterator[str]:
    """Name every field of `value`, dotted, that the schema does not know."""
    yield from _unknown(schema_uri, value, "")


def _unknown(uri: str, value: Any, at: str) -> Iterator[str]:
    uri, schema = _follow(uri)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from _unknown(f"{uri}/items", item, f"{at}[{index}]")
    if isinstance(value, dict):
        known = dict(_properties(uri))
        if not known:
            return
        for name, item in value.items():
            dotted = f"{at}.{name}" if at else name
            if name not in known:
                yield dotted
            else:
                yield from _unknown(known[name], item, dotted)


def _properties(uri: str) -> Iterator[tuple[str, str]]:
    uri, schema = _follow(uri)
    for name in schema.get("properties", {}):
        yield name, f"{uri}/properties/{_escape(name)}"
    for word in ("allOf", "anyOf", "oneOf"):
        for index in range(len(schema.get(word, ()))):
            yield from _properties(f"{uri}/{word}/{index}")
    if "then" in schema:
        yield from _properties(f"{uri}/then")


def _follow(uri: str) -> tuple[str, dict[str, Any]]:
    """Look a node up, through `$ref`s, and say where it really stands."""
    while True:
        node = _registry().resolver().lookup(uri).contents
        if "$ref" not in node:
            return uri, node
        uri = urljoin(uri, node["$ref"])


def _match(template: str, path: str) -> dict[str, str] | None:
    pattern = "".join(
        f"(?P<p{index}>[^/]+)" if part.startswith("{") else re.escape(part)
        for index, part in enumerate(re.split(r"(\{[^}]+\})", template))
    )
    found = re.fullmatch(pattern, path)
    if found is None:
        return None
    return dict(zip(re.findall(r"\{([^}]+)\}", template), found.groups(), strict=True))


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def _at(path: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in path) or "(body)"


@lru_cache(maxsize=1)
def _documents() -> dict[str, dict[str, Any]]:
    require_descriptions()
    found: dict[str, dict[str, Any]] = {}
    for pattern in (*DESCRIPTIONS, *SHARED_PARTS):
        for file in sorted(SPEC_FOLDER.parent.glob(pattern)):
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            text = file.read_text(encoding="utf-8")
            raw = json.loads(text) if file.suffix == ".json" else yaml.load(text, Loader=loader)
            found[file.relative_to(SPEC_FOLDER.parent).as_posix()] = _to_json_schema(raw)
    return found


@lru_cache(maxsize=1)
def _registry() -> Registry[Any]:
    resources = (
        (f"{BASE}{name}", DRAFT202012.create_resource(document)) for name, document in _documents().items()
    )
    return Registry().with_resources(resources)


def _to_json_schema(node: Any) -> Any:
    """Turn OpenAPI 3.0's own words, `nullable` and `discriminator`, into JSON Schema's."""
    if isinstance(node, list):
        return [_to_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {
        key: _to_json_schema(value) for key, value in node.items() if key not in ("example", "examples")
    }
    if isinstance(result.get("discriminator"), dict) and "oneOf" in result:
        result = _choose_by_discriminator(result)
    if result.get("nullable") is True:
        result = _allow_null(result)
    return result


def _choose_by_discriminator(schema: dict[str, Any]) -> dict[str, Any]:
    # The branches of a oneOf may overlap (a NewCondition only asks for `category`), so the name decides.
    name = schema["discriminator"]["propertyName"]
    mapping = schema["discriminator"]["mapping"]
    rest = {key: value for key, value in schema.items() if key not in ("oneOf", "discriminator")}
    branches = [
        {"if": {"properties": {name: {"const": value}}}, "then": {"$ref": ref}}
        for value, ref in mapping.items()
    ]
    return {**rest, "required": [name], "properties": {name: {"enum": list(mapping)}}, "allOf": branches}


def _allow_null(schema: dict[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in schema.items() if key != "nullable"}
    if "enum" in rest:
        rest["enum"] = [*rest["enum"], None]
    if isinstance(rest.get("type"), str):
        rest["type"] = [rest["type"], "null"]
    if "allOf" in rest:
        branches = rest.pop("allOf")
        rest["anyOf"] = (
            [*branches, {"type": "null"}] if len(branches) == 1 else [{"allOf": branches}, {"type": "null"}]
        )
    return rest
