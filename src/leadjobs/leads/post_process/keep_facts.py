"""Keeping what was learned about a lead."""

from collections.abc import Iterable

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from leadjobs.leads.fact import Fact, FactOrigin
from leadjobs.leads.inbound import LeadId, MessageId
from leadjobs.leads.tables import LeadFact


async def note_facts(
    session: AsyncSession, lead_id: LeadId, message_id: MessageId, facts: Iterable[Fact], origin: FactOrigin
) -> int:
    """Keep the facts that are not known of this lead yet, in the caller's transaction; returns how many those were.

    A fact never becomes an identity of the lead (see ``facts``): deliveries are not matched by what somebody wrote.
    """
    rows = [
        {"lead_id": lead_id, "message_id": message_id, "kind": fact.kind, "value": fact.value, "origin": origin}
        for fact in sorted(set(facts), key=lambda fact: (fact.kind, fact.value))  # one order for all: no deadlock
    ]
    if not rows:
        return 0
    new = insert(LeadFact).values(rows).on_conflict_do_nothing(constraint="lead_fact_once").returning(LeadFact.id)
    return len((await session.scalars(new)).all())
