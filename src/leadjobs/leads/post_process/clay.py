"""Asking Clay what it knows of a lead: written down and counted, then sent, then noted; no connection held meanwhile.

From Clay's "Webhooks in Clay" page (university.clay.com): a table's webhook source takes one JSON object as one row,
with an optional token in ``x-clay-webhook-auth``, and 50,000 rows in its life; deleting rows gives none back.  From its
support pages: ten rows a second, 100 kB each.  What an answer of status 200 says is not documented, so it is not read;
that the source is full may not be said at all, so we count.  What Clay finds comes later, to our own webhook.

The webhook's address is a secret.  It is in no log line, no error and no ``repr``; httpx's client would log it, so its
transport is used alone.
"""

import asyncio
import hashlib
import json
import logging
import math
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from leadjobs.errors import ProviderError, ProviderRefusedError, ProviderUnavailableError, SettingsError
from leadjobs.leads.fact import FactKind
from leadjobs.leads.jobs import LEAD_DELETED, LeadMessage
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.standing import disqualified_by
from leadjobs.leads.tables import ClayTable, Enrichment, Lead, LeadFact, LeadIdentity

if TYPE_CHECKING:
    import ssl

    import httpx
    from sqlalchemy.sql.dml import ReturningInsert

KIND: Final = "contact"
"""What we ask for: a lead is asked about once for each kind, and this is the only one."""

ASKED_AGAIN_WITHIN: Final = timedelta(days=1)
"""How old a question without a known end may be for it to be sent once more, under the same request id."""

_GRACE_SECONDS = 5.0  # beyond the call's own time, before a question counts as abandoned
_NEARLY_FULL = 0.9
_MAX_CHARS = 500  # of a cell: a row may have 100 kB
_BUSY_STATUS = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})

logger = logging.getLogger("leadjobs.clay")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contacts:
    """How a lead can be reached, by its identities and by facts."""

    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()

    @classmethod
    def of(cls, known: Iterable[tuple[str, str]]) -> Self:
        """From pairs of kind and value, in an order of their own."""
        pairs = sorted(set(known))

        def of(kind: FactKind) -> tuple[str, ...]:  # identities have the same words for these
            return tuple(value for known_kind, value in pairs if known_kind == kind)

        return cls(phones=of(FactKind.PHONE), emails=of(FactKind.EMAIL), profiles=of(FactKind.LINKEDIN_PROFILE))


def is_wanted(lead: Lead, contacts: Contacts) -> bool:
    """Is it worth a row to ask about this lead?

    It must be one to pursue, without a telephone number, and with something that it can be looked up by.
    """
    is_findable = bool(contacts.emails or contacts.profiles or (lead.last_name and lead.company))
    return disqualified_by(lead) is None and not contacts.phones and is_findable


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """One row for Clay, as it was reserved."""

    request_id: str
    row: Mapping[str, str | int | None]


class Clay:
    """One Clay table; ``timeout`` (seconds) bounds each call as a whole.

    Raises:
        SettingsError: the address or the token cannot be one.
    """

    def __init__(self, *, url: str, token: str | None = None, max_rows: int = 50_000, timeout: float = 5.0) -> None:
        self._url, self._token = url.strip(), (token or "").strip()
        _check(self._url, self._token)
        self._max_rows = max_rows
        self._timeout = timeout
        self._ssl: ssl.SSLContext | None = None
        self._warned: set[str] = set()

    async def enrich(self, sessions: Sessions, what: LeadMessage) -> str:
        """Ask Clay about the message's lead, if that is wanted and was not done; a note says what was done, or why not.

        The question is not fenced by the job's lease and not rolled back with its work: a row was sent, or may have
        been.  A question whose end is not known (Clay was unavailable, or we died) is sent once more by whoever comes
        next within a day, as another row that counts; our side takes both rows' answers for one.

        Raises:
            ProviderUnavailableError: Clay is busy, down or slow.  Nothing is lost, so a caller may go on without it: a
                retry of this job asks again, and so does the lead's next message.
        """
        async with sessions() as session:
            question = await self._reserve(session, what)
            if isinstance(question, str):
                return question
            await session.commit()
        failure = await self._send(question)
        await _note(sessions, question.request_id, failure)
        if isinstance(failure, ProviderUnavailableError):
            raise failure
        if failure is not None:
            logger.error("clay.refused why=%r fix='look at LEADJOBS_CLAY_URL and LEADJOBS_CLAY_TOKEN'", str(failure))
            return str(failure)
        return "Clay was asked"

    async def _reserve(self, session: AsyncSession, what: LeadMessage) -> _Question | str:
        """The question, written down and counted in one transaction; or why none is asked, then nothing is written."""
        lead = await session.get(Lead, what.lead_id)
        if lead is None:
            return LEAD_DELETED
        contacts = await _contacts(session, lead)
        if not is_wanted(lead, contacts):
            return "Clay is not needed"
        abandoned_after = timedelta(seconds=self._timeout + _GRACE_SECONDS)
        request_id = await session.scalar(_ask(what, abandoned_after))
        if request_id is None:
            return "Clay was asked before"
        if not await self._count(session):
            return "Clay's row cap is reached"
        return _Question(request_id=request_id, row=_row(request_id, lead, contacts))

    async def _count(self, session: AsyncSession) -> bool:
        """Count one more row of the table, if there is room for it."""
        address = hashlib.sha256(self._url.encode()).hexdigest()
        has_room = ClayTable.submitted < self._max_rows
        one_more = insert(ClayTable).values(url_hash=address, submitted=1)
        one_more = one_more.on_conflict_do_update(
            index_elements=[ClayTable.url_hash], set_={"submitted": ClayTable.submitted + 1}, where=has_room
        )
        counted = await session.scalar(one_more.returning(ClayTable.submitted)) if self._max_rows > 0 else None
        if counted is None:
            self._warn("clay.full")
        elif counted >= self._max_rows * _NEARLY_FULL:
            self._warn("clay.nearly_full")
        return counted is not None

    def _warn(self, event: str) -> None:
        """Say it once where somebody looks, for every lead would say it again."""
        if event not in self._warned:
            self._warned.add(event)
            fix = "make a new webhook source at Clay and set LEADJOBS_CLAY_URL"
            logger.error("%s max_rows=%d fix=%r", event, self._max_rows, fix)

    async def _send(self, question: _Question) -> ProviderError | None:
        """Send the row, and return why it was not taken; None where it was."""
        if self._ssl is None:
            self._ssl = await asyncio.to_thread(_new_ssl_context)
        import httpx  # noqa: PLC0415  the thread has imported it by now

        headers = {"content-type": "application/json"}
        if self._token:
            headers["x-clay-webhook-auth"] = self._token
        request = httpx.Request("POST", self._url, headers=headers, content=json.dumps(question.row).encode())
        try:
            async with asyncio.timeout(self._timeout), httpx.AsyncHTTPTransport(verify=self._ssl) as transport:
                response = await transport.handle_async_request(request)
                await response.aclose()
        except TimeoutError:
            return ProviderUnavailableError(f"Clay did not answer within {self._timeout:.1f} s")
        except httpx.TransportError as error:
            return ProviderUnavailableError(f"the connection to Clay failed: {type(error).__name__}")
        return _failure(response)


def _check(url: str, token: str) -> None:
    """Refuse what no request could be made of; the message repeats neither, for both are secrets."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in {"https", "http"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not (is_address and _is_plain(url)):
        raise SettingsError("LEADJOBS_CLAY_URL is no address: copy it from the webhook source of the table at Clay")
    if not _is_plain(token):
        raise SettingsError("LEADJOBS_CLAY_TOKEN cannot be sent: copy it from the webhook source of the table at Clay")


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


async def _contacts(session: AsyncSession, lead: Lead) -> Contacts:
    names = select(LeadIdentity.kind, LeadIdentity.value).where(LeadIdentity.lead_id == lead.id)
    facts = select(LeadFact.kind, LeadFact.value).where(LeadFact.lead_id == lead.id)
    known = await session.execute(names.union_all(facts))
    return Contacts.of((kind, value) for kind, value in known)


def _ask(what: LeadMessage, abandoned_after: timedelta) -> "ReturningInsert[str]":
    """Write a question down before it is sent; its request id comes back to exactly one of those who race.

    None comes back where the lead was asked about before, but for a question whose end is not known and which nobody
    can be sending at this moment: that is taken over.
    """
    is_abandoned = or_(Enrichment.error.is_not(None), Enrichment.asked_at < func.now() - abandoned_after)
    is_recent = Enrichment.asked_at > func.now() - ASKED_AGAIN_WITHIN
    question = insert(Enrichment).values(
        request_id=str(uuid.uuid4()), lead_id=what.lead_id, message_id=what.message_id, kind=KIND, status="asked"
    )
    return question.on_conflict_do_update(
        constraint="enrichment_once",
        set_={"asked_at": func.now(), "message_id": what.message_id, "error": None},
        where=(Enrichment.status == "asked") & is_recent & is_abandoned,
    ).returning(Enrichment.request_id)


def _row(request_id: str, lead: Lead, contacts: Contacts) -> Mapping[str, str | int | None]:
    """What the table is told: enough to look the person up, and the ids that its answer must bring back."""
    email, profile = next(iter(contacts.emails), None), next(iter(contacts.profiles), None)
    cells = {
        "firstName": lead.first_name,
        "lastName": lead.last_name,
        "email": email,
        "company": lead.company,
        "jobTitle": lead.job_title,
        "linkedinUrl": profile and f"https://www.{profile}",
    }
    cut = {name: value and value[:_MAX_CHARS] for name, value in cells.items()}
    return {"requestId": request_id, "leadId": lead.id, "enrichmentType": KIND, **cut}


def _new_ssl_context() -> "ssl.SSLContext":
    import httpx  # noqa: PLC0415  a tenth of a second, and the certificates as much again

    return httpx.create_ssl_context()


def _failure(response: "httpx.Response") -> ProviderError | None:
    """Why a row was not taken, by the status alone: what Clay says may quote the row."""
    status = response.status_code
    if status in _BUSY_STATUS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        retry_after = _seconds(response.headers.get("retry-after"))
        return ProviderUnavailableError(f"Clay is not available: HTTP {status}", retry_after=retry_after)
    return None if response.is_success else ProviderRefusedError(f"Clay refused the row: HTTP {status}")


def _seconds(text: str | None) -> float | None:
    """The seconds of a Retry-After header; None without a sensible number of them."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


async def _note(sessions: Sessions, request_id: str, failure: ProviderError | None) -> None:
    """Keep how the sending ended, unless Clay's answer was faster."""
    status = "sent" if failure is None else "asked" if isinstance(failure, ProviderUnavailableError) else "failed"
    ended = (
        update(Enrichment)
        .where(Enrichment.request_id == request_id, Enrichment.status == "asked")
        .values(status=status, error=None if failure is None else str(failure))
    )
    async with sessions() as session:
        await session.execute(ended)
        await session.commit()
