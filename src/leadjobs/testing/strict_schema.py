"""OpenAI's strict structured outputs: what a schema may not be, and how an answer breaks one."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

Json = dict[str, Any]

_TYPES: Final[Mapping[str, type]] = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}


def not_strict(schema: Json, context: tuple[str, ...] = ()) -> str | None:
    """What OpenAI's strict mode has against this schema; None if nothing."""
    properties: Json = schema.get("properties", {})
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return f"In context={context}, 'additionalProperties' is required to be supplied and to be false."
        if missing := sorted(set(properties) - set(schema.get("required", ()))):
            rule = "'required' is required to be supplied and to be an array including every key in properties."
            return f"In context={context}, {rule} Missing '{missing[0]}'."
    parts = {f"properties {name}": part for name, part in properties.items()}
    if "items" in schema:
        parts["items"] = schema["items"]
    return next(filter(None, (not_strict(part, (*context, *name.split())) for name, part in parts.items())), None)


def mismatch(value: Any, schema: Json, path: str) -> str | None:
    """How the value breaks the schema (type, enum, required, no extras); None if it does not."""
    kind = schema.get("type")
    if kind is not None and (not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return f"{path} must be of type {kind}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{path} must be one of {schema['enum']}"
    wrong: Iterable[str | None] = ()
    if kind == "array":
        wrong = (mismatch(part, schema.get("items", {}), f"{path}[{index}]") for index, part in enumerate(value))
    if kind == "object":
        properties: Json = schema.get("properties", {})
        if odd := set(properties) ^ set(value):
            return f"{path} must have exactly the keys of the schema; these differ: {sorted(odd)}"
        wrong = (mismatch(part, properties[name], f"{path}.{name}") for name, part in value.items())
    return next(filter(None, wrong), None)
