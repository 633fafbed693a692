"""Leads to be read: lists by score, newest activity first, and everything about one.

Reads are short, few and change nothing.  A list is bounded by its page; the sheet of one lead by `MOST` of each kind
and `MAX_TEXT` of each message, so that no conversation is too long to be answered.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar, assert_never

from psycopg.errors import UndefinedColumn, UndefinedTable
from sqlalchemy import ColumnElement, Row, Select, func, select, tuple_
from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from leadjobs.errors import BadSignatureError, LeadjobsError, SchemaBehindError, StoreError
from leadjobs.leads.inbound import WorkspaceId
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.standing import disqualified_by, is_disqualified
from leadjobs.leads.tables import Enrichment, Lead, LeadFact, LeadIdentity, LeadScore, Message, ReplyDraft, Workspace
from leadjobs.leads.tokens import is_token, workspace_of
from leadjobs.leads.views import (
    MAX_ID,
    DraftView,
    EnrichmentView,
    FactView,
    IdentityView,
    LeadDetail,
    LeadNotFoundError,
    LeadPage,
    LeadView,
    MessageView,
    Place,
    ScoreFilter,
    ScoreView,
    View,
)

MOST: Final = 200  # messages, scores, drafts, facts of one lead
MAX_TEXT: Final = 10_000  # characters of one message
STATEMENT_SECONDS: Final = 5

_ONE_PICTURE: Final[Mapping[str, Any]] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
_ACTIVITY: Final = func.coalesce(Lead.last_inbound_at, Lead.created_at)  # as in the index lead_by_activity

V = TypeVar("V", bound=View)


class UnknownWorkspaceError(LeadjobsError):
    """There is no workspace of this name."""

    code = "LJ603"
    fault = "caller"


class Directory:
    """The leads of a workspace, or of all where it is None."""

    def __init__(self, session: AsyncSession, workspace_id: WorkspaceId | None = None) -> None:
        self._session, self._workspace_id = session, workspace_id

    async def page(self, score: ScoreFilter | None = None, *, limit: int, after: Place | None = None) -> LeadPage:
        """At most ``limit`` leads after a place, newest activity first, with their identities masked."""
        wanted = self._leads().order_by(_ACTIVITY.desc(), Lead.id.desc()).limit(limit + 1)
        if score is not None:
            wanted = wanted.where(_has(score))
        if after is not None:
            wanted = wanted.where(tuple_(_ACTIVITY, Lead.id) < (after.at, after.id))
        found = (await self._session.execute(wanted)).all()
        next_cursor = None
        if len(found) > limit:
            last, _ = found[limit - 1]
            next_cursor = Place(at=last.last_inbound_at or last.created_at, id=last.id).cursor
        leads = await self._views(found[:limit])
        return LeadPage(leads=tuple(lead.masked() for lead in leads), next_cursor=next_cursor)

    async def lead(self, lead_id: int) -> LeadDetail:
        """Everything about a lead.

        Raises:
            LeadNotFoundError: there is none with this id, or it belongs to another workspace.
        """
        wanted = self._leads().where(Lead.id == lead_id)
        found = (await self._session.execute(wanted)).all() if 0 < lead_id <= MAX_ID else []
        if not found:
            raise LeadNotFoundError("there is no lead with this id")
        (lead, _), (view,) = found[0], await self._views(found)
        messages = await self._session.scalar(select(func.count()).where(Message.lead_id == lead.id)) or 0
        conversation = await self._newest(MessageView, _conversation(lead), Message.sent_at, Message.id)
        return LeadDetail(
            **dict(view),
            industry=lead.industry,
            headcount=lead.headcount,
            created_at=lead.created_at,
            last_outbound_at=lead.last_outbound_at,
            opted_out_at=lead.opted_out_at,
            bounced_at=lead.bounced_at,
            conversation=conversation[::-1],
            earlier_messages=messages - len(conversation),
            scores=await self._newest(ScoreView, _rows_of(LeadScore, lead), LeadScore.id),
            drafts=await self._newest(DraftView, _drafts(lead), ReplyDraft.id),
            facts=await self._newest(FactView, _rows_of(LeadFact, lead), LeadFact.id),
            enrichments=await self._newest(EnrichmentView, _rows_of(Enrichment, lead), Enrichment.id),
        )

    def _leads(self) -> Select[Lead, str | None]:
        """Leads that may be seen, each with the channel of its newest inbound message."""
        said = select(Message.channel).where(Message.lead_id == Lead.id, Message.direction == "inbound")
        channel = said.order_by(Message.sent_at.desc(), Message.id.desc()).limit(1).scalar_subquery()
        leads = select(Lead, channel)
        return leads if self._workspace_id is None else leads.where(Lead.workspace_id == self._workspace_id)

    async def _views(self, leads: Sequence[Row[Lead, str | None]]) -> list[LeadView]:
        names = select(LeadIdentity).where(LeadIdentity.lead_id.in_([lead.id for lead, _ in leads]))
        in_order = names.order_by(LeadIdentity.kind, LeadIdentity.value)
        identities = (await self._session.scalars(in_order)).all() if leads else []
        return [
            LeadView(
                id=lead.id,
                workspace_id=lead.workspace_id,
                first_name=lead.first_name,
                last_name=lead.last_name,
                company=lead.company,
                job_title=lead.job_title,
                identities=tuple(IdentityView.model_validate(each) for each in identities if each.lead_id == lead.id),
                channel=channel,
                last_inbound_at=lead.last_inbound_at,
                sentiment=lead.sentiment_tag,
                disqualified=disqualified_by(lead),
                fit_score=lead.fit_score,
                intent_score=lead.intent_score,
                overall_score=lead.overall_score,
                score_reasoning=lead.score_reasoning,
                scored_at=lead.scored_at,
            )
            for lead, channel in leads
        ]

    async def _newest(self, view: type[V], rows: Select[Any], *by: InstrumentedAttribute[Any]) -> tuple[V, ...]:
        newest = rows.order_by(*(column.desc() for column in by)).limit(MOST)
        return tuple(view.model_validate(row) for row in await self._session.execute(newest))


def _has(score: ScoreFilter) -> ColumnElement[bool]:
    match score:
        case ScoreFilter.FOUR | ScoreFilter.FROM_THREE | ScoreFilter.FROM_TWO | ScoreFilter.FROM_ONE:
            return Lead.overall_score >= int(score[0])  # 4 is the most there is
        case ScoreFilter.UNSCORED:
            return Lead.overall_score.is_(None)
        case ScoreFilter.DISQUALIFIED:
            return is_disqualified()
        case _:
            assert_never(score)


def _rows_of(table: type[LeadScore | ReplyDraft | LeadFact | Enrichment], lead: Lead) -> Select[Any]:
    return select(table.__table__).where(table.lead_id == lead.id)


def _drafts(lead: Lead) -> Select[Any]:
    return _rows_of(ReplyDraft, lead).add_columns(ReplyDraft.body.label("text"))


def _conversation(lead: Lead) -> Select[Any]:
    known = Message.id, Message.direction, Message.channel, Message.source, Message.sent_at
    words = func.left(Message.subject, MAX_TEXT).label("subject"), func.left(Message.body, MAX_TEXT).label("text")
    more = func.char_length(Message.body).label("text_length"), Message.sentiment, Message.consent
    return select(*known, *words, *more).where(Message.lead_id == lead.id)


async def workspace_named(session: AsyncSession, name: str) -> WorkspaceId:
    """The workspace of this name.

    Raises:
        UnknownWorkspaceError: there is none.
    """
    found = await session.scalar(select(Workspace.id).where(Workspace.name == name))
    if found is None:
        raise UnknownWorkspaceError(
            f"there is no workspace {name!r}: see `leadjobs workspaces list`, or make it with `leadjobs workspaces set`"
        )
    return WorkspaceId(found)


class Directories:
    """Opens directories to those who bring a token, at most as many at once as ``sessions`` has connections.

    A serverless instance is frozen between requests: the last reader to leave closes the connections.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions, self._readers, self._door = sessions, 0, asyncio.Lock()

    @asynccontextmanager
    async def open(self, token: str) -> AsyncIterator[Directory]:
        """The directory of the token's workspace, as it is at one moment.

        Raises:
            BadSignatureError: it is no token, or a revoked one.
            SchemaBehindError: a table or column is missing.
            StoreError: the database does not answer, or not in time.
        """
        if not is_token(token):
            raise BadSignatureError("wrong, missing or revoked API token")
        async with self._door:  # which nobody enters while the last one out closes up
            self._readers += 1
        try:
            async with reading(self._sessions) as session:
                if (workspace_id := await workspace_of(session, token)) is None:
                    raise BadSignatureError("wrong, missing or revoked API token")
                yield Directory(session, workspace_id)
        finally:
            self._readers -= 1
            async with self._door:
                if self._readers == 0:
                    await self._sessions.close()


@asynccontextmanager
async def reading(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    """A session that can only read, sees the database as it is at one moment, and waits for no statement too long.

    Raises:
        SchemaBehindError: a table or column is missing.
        StoreError: the database does not answer, or not in time.
    """
    deadline = select(func.set_config("statement_timeout", f"{STATEMENT_SECONDS}s", True))  # of this transaction
    with our_errors():
        async with sessions() as session:
            await session.connection(execution_options=_ONE_PICTURE)
            await session.execute(deadline)
            yield session


@contextmanager
def our_errors() -> Iterator[None]:
    """Where SQLAlchemy says that the database cannot be used, say it as everywhere else.

    Raises:
        SchemaBehindError: a table or column is missing.
        StoreError: the database does not answer, or not in time.
    """
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise StoreError(f"the database does not answer: {str(error.orig).strip()}") from error
    except NoConnectionError as error:
        raise StoreError("the database does not answer: all connections are in use") from error
    except ProgrammingError as error:
        if not isinstance(error.orig, UndefinedTable | UndefinedColumn):
            raise
        raise SchemaBehindError(f"{str(error.orig).splitlines()[0]}: run `leadjobs migrate`") from error
