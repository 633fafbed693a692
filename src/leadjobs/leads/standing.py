"""May this lead be pursued at all?  Decided from what is stored, never by a model.

The rule is here twice, for one lead and for a query over many; a test holds the two together.
"""

from string import ascii_lowercase, ascii_uppercase
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_

from leadjobs.leads.tables import Lead

DISQUALIFYING_TAGS = frozenset(
    {"blacklist", "blacklisted", "opt out", "opted out", "unsubscribe", "unsubscribed", "bounce", "bounced"}
)

# Python and PostgreSQL mean the same by these, whatever the database's collation: all that str.strip() takes away, and
# the lower case of 26 letters.
_SPACES: Final = "".join(character for character in map(chr, range(0x3001)) if character.isspace())
_LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)


def is_disqualifying(tag: str | None) -> bool:
    """Does this tag disqualify, however it is spaced and capitalized?"""
    return tag is not None and tag.strip(_SPACES).translate(_LOWER) in DISQUALIFYING_TAGS


def disqualified_by(lead: Lead) -> str | None:
    """Why the lead must not be pursued, in plain words, or None."""
    if lead.opted_out_at is not None:
        return lead.opted_out_why or "opted out"
    if lead.bounced_at is not None:
        return "their address bounced"
    return lead.sentiment_tag if is_disqualifying(lead.sentiment_tag) else None


def is_disqualified() -> ColumnElement[bool]:
    """:func:`disqualified_by` as a condition on `Lead` rows: true where it names a reason, else false."""
    tag = func.translate(func.btrim(Lead.sentiment_tag, _SPACES), ascii_uppercase, ascii_lowercase)
    return or_(
        Lead.opted_out_at.is_not(None),
        Lead.bounced_at.is_not(None),
        and_(Lead.sentiment_tag.is_not(None), tag.in_(sorted(DISQUALIFYING_TAGS))),
    )
