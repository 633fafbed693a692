"""The newest messages of one conversation, as they are stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from leadjobs.leads.inbound import Channel
from leadjobs.leads.tables import Message
from leadjobs.leads.transcript import Line, transcript

MAX_MESSAGES = 60  # the newest ones, of all channels


@dataclass(frozen=True, slots=True)
class Recent:
    """The newest messages of a lead, and always its newest inbound words.

    ``through_id`` is the newest message that there was, ``looked_at`` when that was; ``omitted`` are older than all of
    these.
    """

    messages: Sequence[Message]
    through_id: int
    looked_at: datetime
    omitted: int
    has_words: bool

    def text(self, *, max_messages: int = MAX_MESSAGES, max_chars: int = 24_000) -> str:
        """The conversation as a model is shown it."""
        in_order = sorted(self.messages, key=lambda message: (message.sent_at, message.id))
        lines = [line_of(message) for message in in_order]
        return transcript(lines, omitted=self.omitted, max_messages=max_messages, max_chars=max_chars)


async def recent(session: AsyncSession, lead_id: int) -> Recent:
    """The newest messages of a lead, by the time they were sent.  ``through_id`` is read first: they are no older."""
    known = select(func.max(Message.id), func.now(), func.count()).where(Message.lead_id == lead_id)
    through_id, looked_at, total = (await session.execute(known)).one()
    newest_first = select(Message).where(Message.lead_id == lead_id).order_by(Message.sent_at.desc(), Message.id.desc())
    messages = list((await session.scalars(newest_first.limit(MAX_MESSAGES))).all())
    words = newest_first.where(Message.direction == "inbound", Message.body != "")
    newest_words = await session.scalar(words.limit(1))
    if newest_words is not None and newest_words not in messages:
        messages.append(newest_words)  # behind sixty of ours, and still what it is all about
    return Recent(messages, through_id or 0, looked_at, max(0, total - len(messages)), newest_words is not None)


def line_of(message: Message) -> Line:
    """One message as a line of a transcript."""
    return Line(
        sent_at=message.sent_at,
        channel=Channel(message.channel),
        is_inbound=message.direction == "inbound",
        subject=message.subject,
        text=message.body,
    )
