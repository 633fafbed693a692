"""What scoring a lead can cost at most, and about what it will: from prices, prompts' sizes and answers' budgets."""

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from leadjobs.errors import SettingsError
from leadjobs.leads.ai.asking import Question, estimated_tokens
from leadjobs.leads.ai.models import MODELS, Model, find_model
from leadjobs.leads.scoring.prompt import INSTRUCTIONS, SCORE_SCHEMA, Score, ScoringInput, scoring_question

CALLS: Final = (1, 2)
"""The calls that one attempt may make, as multiples of the answer's budget: an answer cut off is asked for again."""

MAX_TRANSCRIPT_CHARS: Final = 24_000  # as leads/transcript.py cuts it
USUAL_OUTPUT_TOKENS: Final = 200  # an answer of 400 characters, and what a model may think before it
_DETAIL_CHARS = 1_000  # more than a prompt takes of a lead's company, title, industry or headcount
_WIDEST = "\U0001f600"  # no character has more bytes


def worst_usd_micros(model: str, *, words_bytes: int) -> int:
    """What one attempt to score one lead can cost at most, in millionths of a dollar.

    All its calls, on the largest prompt that there can be, at the highest price of the model and of those that follow
    it.  ``words_bytes`` is how long the workspace's own words are.

    Raises:
        SettingsError: a price is not known; the message names the fix.
    """
    question, chain = _largest_question(words_bytes), list(_chain(model))
    input_usd, output_usd = max(each[0] for each in chain), max(each[1] for each in chain)
    input_tokens = question.most_input_tokens
    return sum(math.ceil(input_tokens * input_usd + question.output_tokens * times * output_usd) for times in CALLS)


def estimated_usd_micros(model: str, *, leads: int, chars: int) -> int:
    """About what it costs to ask the model about so many leads, whose conversations have so many characters in all.

    Raises:
        SettingsError: a price is not known; the message names the fix.
    """
    input_usd, output_usd = next(_chain(model))
    input_tokens = leads * estimated_tokens(INSTRUCTIONS, SCORE_SCHEMA, "") + chars // 4
    return math.ceil(input_tokens * input_usd + leads * USUAL_OUTPUT_TOKENS * output_usd)


def usd(micros: int) -> str:
    """An amount in words.

    >>> usd(5_000_000), usd(1_234)
    ('$5.00', '$0.0012')
    """
    return f"${micros / 1e6:,.2f}" if micros % 10_000 == 0 else f"${micros / 1e6:,.4f}"


def _largest_question(words_bytes: int) -> Question[Score]:
    detail = _WIDEST * _DETAIL_CHARS
    return scoring_question(
        ScoringInput(
            ideal_customer_profile="x" * (words_bytes + 1),
            service_description="x",
            qualification_questions=("x",),
            company=detail,
            job_title=detail,
            industry=detail,
            headcount=detail,
            transcript=_WIDEST * MAX_TRANSCRIPT_CHARS,
        )
    )


def _chain(name: str) -> Iterator[tuple[Decimal, Decimal]]:
    """The dearest input and the output of a model, and of those that follow it when it is gone."""
    following: str | None = name
    while following is not None:
        model = find_model(following)
        yield _prices(model)
        following = model.successor


def _prices(model: Model) -> tuple[Decimal, Decimal]:
    inputs = (model.input_usd, model.cached_usd, model.cache_write_usd)
    known = [price for price in inputs if price is not None]
    if len(known) < len(inputs) or model.output_usd is None:
        priced = ", ".join(each.name for each in MODELS if each.input_usd is not None)
        raise SettingsError(
            f"the prices of {model.name} are not known, so no spend limit can be kept: set LEADJOBS_AI_MODEL to one of "
            f"{priced}, or add its prices to leads/ai/models.py"
        )
    return max(known), model.output_usd
