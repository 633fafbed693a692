"""What stands in for the model where no OpenAI key is set: a few plain rules, labelled, behind the same protocol.

It is for showing the pipeline, not for judging leads.
"""

import os
import re
from typing import Any

from leadjobs.testing.openai import OpenAIStandIn

LABEL = "[stand-in, no AI]"
KEY = "demo-key-for-the-local-stand-in"

_HOT = ("contract", "start", "sign", "call me", "book", "tuesday", "monday")
_WARM = ("how much", "price", "cost", "compare", "interesting", "happy to talk", "next step")
_COLD = ("wrong person", "not interested", "no thanks", "bakery")
_FIT = ("dental", "practice", "chair", "clinic", "hammas")


def has_openai_key() -> bool:
    """Is there a key for the real OpenAI, so that nothing need stand in for it?"""
    return bool(os.environ.get("OPENAI_API_KEY", "").strip())


def stand_in() -> OpenAIStandIn:
    """A local server that speaks OpenAI's protocol: it checks the strict schema and reports usage."""
    return OpenAIStandIn(answer=judge, api_key=KEY)


def judge(request: dict[str, Any]) -> dict[str, Any]:
    """An answer to any of our questions."""
    prompt = str(request["input"]).lower()
    return _ANSWERS[request["text"]["format"]["name"]](prompt)


def _score(prompt: str) -> dict[str, Any]:
    """A score by counting words in what the lead wrote."""
    said = " ".join(re.findall(r"in lead: (.*)", prompt))
    about = said + " ".join(re.findall(r"(?:company|job title)[^\n]*", prompt))
    hot, warm, cold = _heat(said)
    fit = 1 if cold else 4 if any(word in about for word in _FIT) else 2
    intent = 1 if cold else 4 if hot > 1 else 3 if hot or warm else 2
    overall = 1 if cold else max(min(fit, intent), (fit + intent) // 2)
    why = f"{LABEL} {hot} urgent, {warm} curious and {cold} dismissive words."
    return {"fitScore": fit, "intentScore": intent, "overallScore": overall, "reasoning": why}


def _sentiment(prompt: str) -> dict[str, Any]:
    """A word for the reply to judge, by the same words."""
    reply = prompt.partition("# reply to judge")[2]
    hot, warm, cold = _heat(reply)
    by_words = "meeting_requested" if hot > 1 else "question" if warm or "?" in reply else "neutral"
    return {"sentiment": "wrong_person" if cold else "later" if "in march" in reply else by_words}


def _draft(_: str) -> dict[str, Any]:
    return {"reply": "(stand-in, no AI) Thank you, a colleague will write to you today."}  # brackets would be a gap


_ANSWERS = {"lead_score": _score, "reply_sentiment": _sentiment, "reply_draft": _draft}


def _heat(said: str) -> tuple[int, int, int]:
    """How many urgent, curious and dismissive words there are."""
    hot, warm, cold = (sum(word in said for word in words) for words in (_HOT, _WARM, _COLD))
    return hot, warm, cold
