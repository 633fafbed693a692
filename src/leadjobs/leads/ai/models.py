"""The models that can score a lead, as values: what each costs, how hard it thinks, when it ends, what follows it.

Facts are OpenAI's price and deprecation pages as of `PRICE_VERSION`.  Nothing here talks to anyone.
"""

import math
import re
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final, Literal

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
"""How hard a model reasons before it answers; each model accepts only some of these."""

Verbosity = Literal["low", "medium", "high"]
"""How long a model's answers are."""

PRICE_VERSION: Final = "2026-11-22"
"""The day on which the prices below were read; stored with every cost, so that an old cost can be explained."""

DEFAULT_MODEL: Final = "gpt-5-nano"
"""The model that the mission names."""

PROVIDER: Final = "openai"
"""The account that all models are asked under, as a resource: without credit it is held, and so is all that uses it."""

_NO_RESOURCE = re.compile(r"[^A-Za-z0-9_.:/-]")
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one call used, as the provider counted it.

    ``cached_tokens`` (read from the prompt cache) and ``cache_write_tokens`` are parts of ``input_tokens``;
    ``reasoning_tokens`` are a part of ``output_tokens``.
    """

    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int

    @classmethod
    def reported(cls, usage: object) -> "Usage | None":
        """Read the ``usage`` of a Responses answer, which the SDK hands on unchecked; None where it is no bill.

        Details that are missing (gateways leave them out) count as 0.
        """
        total_in, total_out = getattr(usage, "input_tokens", None), getattr(usage, "output_tokens", None)
        if not isinstance(total_in, int) or not isinstance(total_out, int):
            return None
        of_input, of_output = (
            getattr(usage, "input_tokens_details", None),
            getattr(usage, "output_tokens_details", None),
        )
        return cls(
            input_tokens=total_in,
            cached_tokens=_count(of_input, "cached_tokens"),
            cache_write_tokens=_count(of_input, "cache_write_tokens"),
            output_tokens=total_out,
            reasoning_tokens=_count(of_output, "reasoning_tokens"),
        )


def _count(details: object, name: str) -> int:
    value = getattr(details, name, None)
    return value if isinstance(value, int) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model.

    Prices are US dollars per million tokens at the standard tier; None means that they are not known here.
    ``effort`` and ``verbosity`` are what scoring asks of it, None where we do not know that the model has the switch.
    ``ends_on`` is the day the provider switches it off, and ``successor`` the entry that scoring moves to then.
    """

    name: str
    effort: Effort | None = None
    verbosity: Verbosity | None = None
    input_usd: Decimal | None = None
    cached_usd: Decimal | None = None
    cache_write_usd: Decimal | None = None
    output_usd: Decimal | None = None
    ends_on: date | None = None
    successor: str | None = None

    @property
    def resource(self) -> str:
        """What it is called where holds are put on it, such as ``openai/gpt-6-luna``."""
        return f"{PROVIDER}/{_NO_RESOURCE.sub('-', self.name)}"[:100]


MODELS: Final = (
    Model(
        name="gpt-5-nano",
        effort="low",
        verbosity="low",
        input_usd=Decimal("0.05"),
        cached_usd=Decimal("0.005"),
        cache_write_usd=Decimal("0.05"),  # writes cost extra from 5.6 on; before that they are plain input
        output_usd=Decimal("0.40"),
        ends_on=date(2026, 12, 11),
        successor="gpt-6-luna",
    ),
    Model(
        name="gpt-6-luna",
        effort="none",  # it reasons by default, and reasoning is billed as output
        input_usd=Decimal("0.10"),
        cached_usd=Decimal("0.01"),
        cache_write_usd=Decimal("0.125"),
        output_usd=Decimal("0.50"),
    ),
    Model(
        name="gpt-5.6-luna",
        effort="none",
        verbosity="low",
        input_usd=Decimal("0.20"),
        cached_usd=Decimal("0.02"),
        cache_write_usd=Decimal("0.25"),
        output_usd=Decimal("1.20"),
        successor="gpt-6-luna",
    ),
)
"""The table.  A model that is not in it still works: without effort, and at an unknown cost."""

_DEAREST_INPUT_USD: Final = max(x for m in MODELS for x in (m.input_usd, m.cache_write_usd) if x is not None)
_DEAREST_OUTPUT_USD: Final = max(model.output_usd for model in MODELS if model.output_usd is not None)


def find_model(name: str) -> Model:
    """The entry of a model, under the name asked for.

    A dated snapshot (``gpt-5-nano-2025-08-07``) has the entry of its model.  An unknown name gives an entry without
    prices, effort or successor: it can be asked, and its cost stays unknown.
    """
    for wanted in (name, _SNAPSHOT.sub("", name)):
        for model in MODELS:
            if model.name == wanted:
                return replace(model, name=name)
    return Model(name=name)


def resources_of(name: str) -> tuple[str, ...]:
    """All that a hold may be on that holds back who asks a model: the account, the model, and what follows it.

    >>> resources_of("gpt-5-nano")
    ('openai', 'openai/gpt-5-nano', 'openai/gpt-6-luna')
    """
    found, following = [PROVIDER], find_model(name)
    while True:
        found.append(following.resource)
        if following.successor is None:
            return tuple(found)
        following = find_model(following.successor)


def most_usd_micros(model: Model, *, input_tokens: int, output_tokens: int) -> int:
    """What a call with at most so many tokens can cost at most, in millionths of a US dollar, rounded up.

    Where a price is not known, the dearest of the table counts.
    """
    inputs = (model.input_usd, model.cached_usd, model.cache_write_usd)
    known = [price for price in inputs if price is not None]
    input_usd = max(known) if len(known) == len(inputs) else _DEAREST_INPUT_USD
    output_usd = _DEAREST_OUTPUT_USD if model.output_usd is None else model.output_usd
    return math.ceil(input_tokens * input_usd + output_tokens * output_usd)


def cost_usd_micros(model: Model, usage: Usage | None) -> int | None:
    """What a call cost, in millionths of a US dollar, rounded up; None where usage or prices are not known.

    A price in dollars per million tokens is the same number in millionths of a dollar per token.
    """
    if usage is None:
        return None
    if model.input_usd is None or model.cached_usd is None or model.cache_write_usd is None or model.output_usd is None:
        return None
    plain = max(usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens, 0)
    return math.ceil(
        plain * model.input_usd
        + usage.cached_tokens * model.cached_usd
        + usage.cache_write_tokens * model.cache_write_usd
        + usage.output_tokens * model.output_usd
    )
