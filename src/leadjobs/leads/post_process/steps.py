"""The steps of post-processing: each does its part on one message, and keeps what it found under its name."""

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from leadjobs.core.outcome import Done, Outcome
from leadjobs.enqueue import enqueue
from leadjobs.errors import OutOfTimeError
from leadjobs.leads.conversations import Conversations
from leadjobs.leads.fact import FactOrigin
from leadjobs.leads.inbound import (
    Channel,
    Delivery,
    Identity,
    IdentityKind,
    Inbound,
    LeadId,
    MessageId,
    Outbound,
    WorkspaceId,
)
from leadjobs.leads.jobs import LEAD_SCORING_POST_PROCESS, scoring_key
from leadjobs.leads.post_process.consent import note_consent
from leadjobs.leads.post_process.draft import DraftInput, draft_question, why_no_draft
from leadjobs.leads.post_process.facts import facts_in, region_of
from leadjobs.leads.post_process.keep_facts import note_facts
from leadjobs.leads.post_process.sentiment import Sentiment, sentiment_question
from leadjobs.leads.post_process.visit import Visit
from leadjobs.leads.recent import line_of, recent
from leadjobs.leads.standing import disqualified_by, is_disqualifying
from leadjobs.leads.tables import InboxEvent, Lead, LeadIdentity, Message, ReplyDraft, WorkspaceSettings

NO_MODEL = "no model is configured"
SENTIMENT_MESSAGES, SENTIMENT_CHARS = 20, 8_000
DRAFT_MESSAGES, DRAFT_CHARS = 40, 16_000
HISTORY_SECONDS = 10.0  # at most, for what was said before
FEWEST_SECONDS = 2.0  # with less left of the run it is not asked for


async def consent(visit: Visit) -> None:
    """A request to stop, a bounce, a welcome back."""
    async with visit.tools.sessions() as session:
        lead, message = await visit.load(session)
        await visit.job.keep(session, "consent", await note_consent(session, lead, message))


async def transcript(visit: Visit) -> None:
    """What was said before, from the provider's own memory, where we know of nothing that this message answers."""
    async with visit.tools.sessions() as session:
        _, message = await visit.load(session)
        delivery = await _delivery_of(session, message)
        is_complete = await _has_ours_before(session, message)
    history = visit.tools.histories.get(message.source)
    if history is None or delivery is None or is_complete:
        await visit.keep("transcript", "nothing to fetch")
        return
    if (left := visit.job.time_left()) < FEWEST_SECONDS:
        raise OutOfTimeError(f"{left:.1f} s left are too few to ask {message.source} for what was said before")
    told = await history.earlier(delivery, time_left=min(HISTORY_SECONDS, left))
    async with visit.tools.sessions() as session:
        lead, _ = await visit.load(session)
        for each in told:
            await _keep_earlier(session, lead, each)
        await visit.job.keep(session, "transcript", f"{len(told)} messages fetched")


async def facts(visit: Visit) -> None:
    """Numbers, addresses and pages that they mention."""
    async with visit.tools.sessions() as session:
        lead, message = await visit.load(session)
        ours = {Identity.email(message.recipient).value, Identity.phone(message.recipient).value}
        found = [x for x in facts_in(message.body, region=await _region(session, lead)) if x.value not in ours]
        new = await note_facts(session, LeadId(lead.id), MessageId(message.id), found, FactOrigin.OWN_WORDS)
        await visit.job.keep(session, "facts", f"{new} new")


async def enrichment(visit: Visit) -> None:
    """What Clay knows of them: asked for here; the answer comes to Clay's own webhook."""
    if (clay := visit.tools.clay) is None:
        await visit.keep("enrichment", "Clay is not configured")
        return
    await visit.keep("enrichment", await clay.enrich(visit.tools.sessions, visit.job.payload))


async def sentiment(visit: Visit) -> None:
    """How the message sounds: said by the rules of consent already, or asked of the model."""
    async with visit.tools.sessions() as session:
        lead, message = await visit.load(session)
        said, ledger = await recent(session, lead.id), await visit.ledger(session, lead)
    if message.sentiment is not None or not message.body.strip():
        await visit.keep("sentiment", (message.sentiment or "no words").replace("_", " "))
        return
    if visit.tools.ai is None:
        await visit.keep("sentiment", NO_MODEL)
        return
    conversation = said.text(max_messages=SENTIMENT_MESSAGES, max_chars=SENTIMENT_CHARS)
    question = sentiment_question(line_of(message), conversation)
    answer = await visit.tools.ai.ask(question, time_left=visit.job.time_left(), ledger=ledger)
    async with visit.tools.sessions() as session:
        _, message = await visit.load(session)
        message.sentiment = answer.value
        await visit.job.keep(session, "sentiment", answer.value.replace("_", " "))


async def draft(visit: Visit) -> None:
    """A reply for a person to look at and send; we never send it."""
    async with visit.tools.sessions() as session:
        lead, message = await visit.load(session)
        settings = await session.get(WorkspaceSettings, lead.workspace_id)
        said, ledger = await recent(session, lead.id), await visit.ledger(session, lead)
        why_not = await _why_no_draft(session, lead, message, settings)
    if visit.tools.ai is None or why_not is not None:
        await visit.keep("draft", f"none: {why_not or NO_MODEL}")
        return
    question = draft_question(
        DraftInput(
            channel=Channel(message.channel),
            service_description=settings.service_description if settings else None,
            qualification_questions=tuple(settings.qualification_questions) if settings else (),
            first_name=lead.first_name,
            transcript=said.text(max_messages=DRAFT_MESSAGES, max_chars=DRAFT_CHARS),
        )
    )
    answer = await visit.tools.ai.ask(question, time_left=visit.job.time_left(), ledger=ledger)
    async with visit.tools.sessions() as session:
        lead, message = await visit.load(session)
        if (why := disqualified_by(lead)) is not None:  # while the model was thinking
            await visit.job.keep(session, "draft", f"none: {why}")
            return
        drafted = insert(ReplyDraft).values(
            lead_id=lead.id,
            message_id=message.id,
            body=answer.value,
            model=answer.model,
            prompt_version=question.prompt_version,
        )
        await session.execute(drafted.on_conflict_do_nothing())
        await visit.job.keep(session, "draft", "kept for a person to send")


async def finish(visit: Visit) -> Outcome:
    """Roll-ups, the scoring job and the end of this one, in one transaction."""
    notes = "; ".join(f"{name}: {note}" for name, note in (await visit.job.finished()).items())
    async with visit.tools.sessions() as session:
        lead, _ = await visit.load(session)
        await _roll_up(session, lead)
        what = visit.job.payload
        scoring = LEAD_SCORING_POST_PROCESS.job(what, tenant=visit.job.tenant, dedupe_key=scoring_key(what))
        await enqueue(session, scoring)
        return await visit.job.commit(session, Done(f"scoring enqueued; {notes}"))


async def _delivery_of(session: AsyncSession, message: Message) -> Delivery | None:
    """The first delivery that brought this message, as it was kept: without its headers and its address's query."""
    found = select(InboxEvent).where(InboxEvent.message_id == message.id).order_by(InboxEvent.id).limit(1)
    event = await session.scalar(found)
    if event is None:
        return None
    headers = {} if event.content_type is None else {"content-type": event.content_type}
    return Delivery(source=event.source, url=event.url, headers=headers, body=event.body)


async def _has_ours_before(session: AsyncSession, message: Message) -> bool:
    ours = select(Message.id).where(
        Message.lead_id == message.lead_id, Message.direction == "outbound", Message.sent_at <= message.sent_at
    )
    return await session.scalar(ours.limit(1)) is not None


async def _region(session: AsyncSession, lead: Lead) -> str | None:
    """The country of the lead's own number: numbers it mentions without a country code are of there."""
    own = select(LeadIdentity.value).where(LeadIdentity.lead_id == lead.id, LeadIdentity.kind == IdentityKind.PHONE)
    number = await session.scalar(own.limit(1))
    return None if number is None else region_of(number)


async def _why_no_draft(
    session: AsyncSession, lead: Lead, message: Message, settings: WorkspaceSettings | None
) -> str | None:
    if not message.body.strip():
        return "nothing was said"
    newer = select(Message.id).where(Message.lead_id == lead.id, Message.sent_at > message.sent_at)
    if await session.scalar(newer.limit(1)) is not None:
        return "the conversation has gone on"
    return why_no_draft(
        Sentiment(message.sentiment or Sentiment.NEUTRAL),
        has_drafts=settings is None or settings.has_drafts,
        disqualified=disqualified_by(lead),
    )


async def _keep_earlier(session: AsyncSession, lead: Lead, told: Inbound | Outbound) -> None:
    """A message from the provider's memory; what the lead said then about consent counts as well."""
    kept = await Conversations(session, WorkspaceId(lead.workspace_id)).keep_of(LeadId(lead.id), told)
    message = await session.get_one(Message, kept.message_id)
    if message.direction == "inbound" and message.sentiment is None:
        await note_consent(session, lead, message)


async def _roll_up(session: AsyncSession, lead: Lead) -> None:
    """How the newest inbound words sound, by the time they were sent: a message that arrives late changes nothing.

    A tag that disqualifies stays: it was put there by somebody who knows more.
    """
    if is_disqualifying(lead.sentiment_tag):
        return
    said = select(Message).where(Message.lead_id == lead.id, Message.direction == "inbound", Message.body != "")
    felt = said.where(Message.sentiment.is_not(None), Message.sentiment.not_in(("opted_out", "bounced")))
    tag = felt.order_by(Message.sent_at.desc(), Message.id.desc()).limit(1).with_only_columns(Message.sentiment)
    newest = func.coalesce(tag.scalar_subquery(), Lead.sentiment_tag)
    await session.execute(update(Lead).where(Lead.id == lead.id).values(sentiment_tag=newest))
