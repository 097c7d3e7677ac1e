"""Answers against a JSON schema, where neither the answer nor the schema can fetch, hang or exhaust anything.

References lead to the schema itself or to the published metaschemas and are never fetched; patterns run in RE2, whose
time is linear in the text; evaluation has a budget of steps, so that the outcome does not depend on the machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]
from jsonschema import Draft7Validator, Draft201909Validator, Draft202012Validator  # type: ignore[import-untyped]
from jsonschema.exceptions import (  # type: ignore[import-untyped]
    SchemaError,
    ValidationError,
    _WrappedReferencingError,
    best_match,
)
from jsonschema.validators import extend  # type: ignore[import-untyped]
from jsonschema_specifications import REGISTRY as SPECIFICATIONS  # type: ignore[import-untyped]
from referencing.exceptions import Unresolvable

from .checks import check
from .trees import problem
from .types import Part

MAX_STEPS = 200_000
_SCHEMA_DEPTH, _SCHEMA_NODES = 48, 5_000
_MAX_PATTERN = 1_000
_DRAFTS = {
    "http://json-schema.org/draft-07/schema": Draft7Validator,
    "https://json-schema.org/draft/2019-09/schema": Draft201909Validator,
    "https://json-schema.org/draft/2020-12/schema": Draft202012Validator,
}
_Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


class _OverBudget(Exception):
    """The steps are used up."""


def matches_schema(name: str, answer: object, schema: Mapping[str, Any] | bool) -> Part:
    """Satisfied when `answer` is valid under `schema` (draft 2020-12 unless it says draft-07 or 2019-09); the detail
    names the place that is not.

    ValueError where the schema cannot be used: it is malformed, refers to something that is not in it, recurses
    without end, has a pattern RE2 does not run (look-around, back-references), or takes more than 200,000 steps.
    """
    text = _checked(schema)
    if found := problem(answer):
        return check(name, False, f"the answer cannot be checked: {found}")
    try:
        error = best_match(_validator(text).iter_errors(answer))
    except _OverBudget:
        raise ValueError(f"the schema takes more than {MAX_STEPS} steps on this answer: simplify it") from None
    except RecursionError:
        raise ValueError("the schema recurses without end: each $ref must lead into a smaller part") from None
    except (Unresolvable, _WrappedReferencingError) as error:
        raise ValueError(f"the schema refers to something that is not in it (nothing is fetched): {error}") from None
    if error is None:
        return check(name, True, "matches the schema")
    return check(name, False, f"at {error.json_path[:200]}: {error.message[:300]}")


def _checked(schema: Mapping[str, Any] | bool) -> str:
    """The schema as a text, once it is small enough to look at and has nothing that leaves our bounds; ValueError."""
    if not isinstance(schema, Mapping | bool):
        raise ValueError(f"a schema is an object, not a {type(schema).__name__}")
    if found := problem(schema, _SCHEMA_DEPTH, _SCHEMA_NODES):
        raise ValueError(f"the schema cannot be used: {found}")
    objects = list(_objects(schema))
    inner = objects[1:]
    if any(isinstance(one.get("$schema"), str) for one in inner):
        raise ValueError("a part of the schema says $schema: only the whole can say which draft it is of")
    if {"unevaluatedProperties", "patternProperties"} <= {key for one in objects for key in one}:
        raise ValueError("unevaluatedProperties beside patternProperties cannot be bounded: say additionalProperties")
    return json.dumps(schema)


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every object in a JSON value."""
    if isinstance(value, Mapping):
        yield value
    if isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _objects(item)


def _validator(text: str) -> Any:
    schema = json.loads(text)
    cls = _class(text)
    if isinstance(schema, dict):  # a validator that meets $schema again would take another's keywords, without bounds
        schema.pop("$schema", None)
    return _bounded(cls, [MAX_STEPS])(schema, registry=SPECIFICATIONS)


@lru_cache(maxsize=256)
def _class(text: str) -> Any:
    """The draft a schema is of, once the schema is known to be sound in it; ValueError."""
    schema = json.loads(text)
    named = schema.get("$schema") if isinstance(schema, dict) else None
    draft = Draft202012Validator if named is None else _DRAFTS.get(str(named).removesuffix("#"))
    if draft is None:
        raise ValueError(f"$schema is {named!r}: it must be one of {', '.join(_DRAFTS)}")
    try:
        draft.check_schema(schema, format_checker=None)
    except SchemaError as error:
        raise ValueError(f"the schema is malformed at {error.json_path[:200]}: {error.message[:300]}") from None
    except RecursionError:
        raise ValueError("the schema is nested too deeply") from None
    return draft


def _bounded(draft: Any, left: list[int]) -> Any:
    """The draft's validator with keywords that count their steps, and with none that is not linear."""

    def counted(keyword: _Keyword) -> _Keyword:
        def run(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
            left[0] -= 1 + (len(instance) // 64 if isinstance(instance, str | list | dict) else 0)
            if left[0] < 0:
                raise _OverBudget
            yield from keyword(validator, value, instance, schema) or ()

        return run

    own: dict[str, _Keyword] = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "uniqueItems": _unique_items,
        "additionalProperties": _additional_properties,
    }
    keywords = {name: counted(own.get(name, keyword)) for name, keyword in draft.VALIDATORS.items()}
    return extend(draft, validators=keywords)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    if len(pattern) > _MAX_PATTERN:
        raise ValueError(f"the schema's pattern of {len(pattern)} characters is too long: at most {_MAX_PATTERN}")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        told = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"the schema's pattern {pattern[:80]!r} does not run in linear time: {told}") from None


def _matches(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text.encode("utf-8", "replace").decode()) is not None


def _pattern(validator: Any, pattern: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _matches(pattern, instance):
        yield ValidationError(f"{instance[:100]!r} does not match {pattern[:100]!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for pattern, rule in patterns.items():
            for key, value in instance.items():
                if _matches(pattern, key):
                    yield from validator.descend(value, rule, path=key, schema_path=pattern)


def _additional_properties(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    extra = [key for key in instance if key not in named and not any(_matches(one, key) for one in patterns)]
    if rule is False and extra:
        yield ValidationError(f"{extra[0][:100]!r} is not expected here")
    elif isinstance(rule, dict):
        for key in extra:
            yield from validator.descend(instance[key], rule, path=key)


def _unique_items(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if wanted and isinstance(instance, list):
        seen = [json.dumps(_like_json(item), sort_keys=True) for item in instance]
        if len(set(seen)) < len(seen):
            yield ValidationError(f"{str(instance)[:100]} has items that are equal")


def _like_json(value: Any) -> Any:
    """Numbers that JSON schema holds equal (1 and 1.0) as one."""
    if isinstance(value, dict):
        return {key: _like_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_like_json(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
