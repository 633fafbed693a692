"""May this lead be pursued at all?  Decided from what is stored, never by a model."""

from leadjobs.leads.tables import Lead

DISQUALIFYING_TAGS = frozenset(
    {"blacklist", "blacklisted", "opt out", "opted out", "unsubscribe", "unsubscribed", "bounce", "bounced"}
)


def disqualified_by(lead: Lead) -> str | None:
    """Why the lead must not be pursued, in plain words, or None."""
    if lead.opted_out_at is not None:
        return lead.opted_out_why or "opted out"
    if lead.sentiment_tag is not None and lead.sentiment_tag.strip().casefold() in DISQUALIFYING_TAGS:
        return lead.sentiment_tag
    return None
