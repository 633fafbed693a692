"""Reading what a model said: nothing is repaired, and no error quotes it, for it may speak of a person."""

import json
import re
from collections.abc import Iterable
from typing import Any

from leadjobs.leads.ai.errors import InvalidAnswerError


def read_object(text: str, keys: Iterable[str]) -> dict[str, Any]:
    """The JSON object that an answer is, with exactly these keys.

    Raises:
        InvalidAnswerError: it is no JSON object, or a key is missing, unknown or there twice.
    """
    answer, expected = _json_object(text), tuple(keys)
    if missing := [key for key in expected if key not in answer]:
        raise InvalidAnswerError(f"the answer lacks {', '.join(missing)}")
    if unknown := [key for key in answer if key not in expected]:
        raise InvalidAnswerError(f"the answer has {len(unknown)} key(s) that were not asked for: {_names(unknown)}")
    return answer


def read_text(key: str, value: object, *, max_chars: int) -> str:
    """A text that can be stored, cut at a word with an ellipsis where it is too long.

    Raises:
        InvalidAnswerError: it is no text, is empty, or cannot be stored.
    """
    if not isinstance(value, str):
        raise InvalidAnswerError(f"{key} must be a string, not {type(value).__name__}")
    text = value.strip()
    if not text:
        raise InvalidAnswerError(f"{key} is empty")
    if "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise InvalidAnswerError(f"{key} has characters that no database stores")
    if len(text) <= max_chars:
        return text
    cut = text[: max_chars - 1]
    if not (cut[-1].isspace() or text[max_chars - 1].isspace()):
        cut = cut.rsplit(maxsplit=1)[0]  # the last word is only half there
    return cut.rstrip() + "…"


def _json_object(text: str) -> dict[str, Any]:
    try:
        answer = json.loads(text, object_pairs_hook=_no_key_twice)
    except (ValueError, RecursionError):  # ValueError also for an integer of thousands of digits
        raise InvalidAnswerError(f"the answer is not JSON ({len(text)} characters)") from None
    if not isinstance(answer, dict):
        raise InvalidAnswerError(f"the answer is JSON, but no object: {type(answer).__name__}")
    return answer


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; to take the last of two equal keys would be to choose an answer."""
    answer = dict(pairs)
    if len(answer) != len(pairs):
        raise InvalidAnswerError("the answer has a key twice")
    return answer


def _names(keys: Iterable[str]) -> str:
    """Names of keys the model made up, as far as they are names."""
    return ", ".join(key if re.fullmatch(r"[A-Za-z_]\w{0,39}", key, re.ASCII) else "(no name)" for key in keys)[:200]
