"""A fact about a lead: how else it can be reached.  A fact is never an identity, see ``post_process/facts.py``."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_VALUE_CHARS: Final = 300
"""How long a fact can be: an index must hold it."""


class FactKind(StrEnum):
    """What a fact is."""

    EMAIL = "email"
    PHONE = "phone"
    WEBSITE = "website"
    LINKEDIN_PROFILE = "linkedin_profile"
    BOOKING_LINK = "booking_link"


class FactOrigin(StrEnum):
    """Who says so."""

    OWN_WORDS = "own_words"  # the lead, in a message
    CLAY = "clay"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing learned about a lead, in one spelling, so that equal means equal."""

    kind: FactKind
    value: str
