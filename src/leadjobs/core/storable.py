"""JSON that PostgreSQL can keep."""

import json
import re
from collections.abc import Mapping
from typing import Any

encode = json.JSONEncoder(allow_nan=False).encode  # json.dumps would make an encoder for each call
_SUSPECT = re.compile(r"\\u(?:0000|d[89a-f])")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def storable_json(value: Any) -> str:
    """The value as JSON text.

    Raises:
        ValueError: it is no JSON, or holds NUL or half a surrogate pair: JSON allows both, PostgreSQL keeps neither.
    """
    try:
        text = encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}") from None
    if _SUSPECT.search(text) and not _is_storable(value):
        raise ValueError("holds NUL or half a surrogate pair, which PostgreSQL cannot keep: take it out")
    return text


def storable_text(text: str) -> str:
    """Text that PostgreSQL can keep: it has no place for NUL, nor for half a surrogate pair."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode(errors="replace").decode()


def _is_storable(value: Any) -> bool:
    if isinstance(value, str):
        return not _UNSTORABLE.search(value)
    if isinstance(value, Mapping):
        return all(_is_storable(each) for pair in value.items() for each in pair)
    return not isinstance(value, list | tuple) or all(_is_storable(each) for each in value)
