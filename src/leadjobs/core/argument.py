"""Arguments that cannot work, refused where they are given: the message names the argument and what fits."""

import inspect
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from leadjobs.errors import StoreError

T = TypeVar("T")
SHOWN = (str, int, float, timedelta, type(None))  # as they are; of others the kind: they may be long, and hold anything


def misfit(value: object, kind: type | tuple[type, ...], fits: str) -> str | None:
    """What is wrong with an argument of another kind, and what fits; None where it is of the kind.

    >>> misfit("2", int, "a whole number")
    "is '2': give a whole number"
    """
    is_of_it = isinstance(value, kind) and not isinstance(value, bool)
    told = repr(value) if isinstance(value, SHOWN) else f"a {type(value).__name__}"
    return None if is_of_it else f"is {told}: give {fits}"


def is_async(run: object) -> bool:
    """Is it made by ``async def``: a function, an object that is called so, or what wraps one or is wrapped in one?"""
    layer: Any = run
    while layer is not None:
        if inspect.iscoroutinefunction(layer) or (
            callable(layer) and inspect.iscoroutinefunction(type(layer).__call__)
        ):
            return True
        layer = getattr(layer, "__wrapped__", None) or (layer.func if isinstance(layer, partial) else None)
    return False


def must_be_callable(what: str, call: object) -> None:
    """Raise StoreError where something was called already, or cannot be."""
    if not callable(call):
        raise StoreError(f"{what} is a {type(call).__name__}: give what is to be called, such as lambda: send(…)")


async def awaited(what: str, call: Callable[..., Awaitable[T]], *given: object) -> T:
    """What an async function of a handler's returns.

    Raises:
        StoreError: it cannot be called, or what it returns cannot be awaited.
    """
    must_be_callable(what, call)
    made = call(*given)
    if not inspect.isawaitable(made):
        raise StoreError(f"{what} is a plain function: write async def, or give lambda: asyncio.to_thread(…)")
    return await made
