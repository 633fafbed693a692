"""What the lead half's tests share beside fixtures: what the model says to our questions."""

from collections.abc import Callable
from typing import Any

from leadjobs.testing.openai import Json, OpenAIStandIn

ANSWERS: dict[str, Json] = {
    "lead_score": {"fitScore": 3, "intentScore": 3, "overallScore": 3, "reasoning": "Asks for a call."},
    "reply_sentiment": {"sentiment": "interested"},
    "reply_draft": {"reply": "Thank you, we will call you."},
}


def name_of(asked: Json) -> str:
    """Which of our questions a request is."""
    return str(asked["text"]["format"]["name"])


def answer(asked: Json) -> Json:
    """The same answer to every question of a kind."""
    return ANSWERS[name_of(asked)]


def scoring_by(score: Callable[[Json], Json]) -> Callable[[Json], Json]:
    """Scores from this function, and the usual answers to all else."""
    return lambda asked: score(asked) if name_of(asked) == "lead_score" else answer(asked)


def calls(openai: OpenAIStandIn, name: str) -> list[dict[str, Any]]:
    """The requests of one question, oldest first."""
    return [asked for asked in openai.calls if name_of(asked) == name]


def scorings(openai: OpenAIStandIn) -> list[dict[str, Any]]:
    """The requests for a score."""
    return calls(openai, "lead_score")
