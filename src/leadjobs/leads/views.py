"""What others are shown of leads, how they ask for it, and what they are told where there is nothing to show.

JSON has the mission's names, and times in UTC.
"""

import base64
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from leadjobs.errors import LeadjobsError
from leadjobs.leads.inbound import IdentityKind

MAX_ID: Final = 2**63 - 1
_SHOWN, _LONG_ENOUGH = 3, 10  # digits of a number at each end, where at least four between them stay hidden


class BadParameterError(LeadjobsError):
    """A parameter of a request cannot be used; the message names it and what it may be."""

    code = "LJ604"
    fault = "caller"


class LeadNotFoundError(LeadjobsError):
    """There is no lead with this id, or it is somebody else's."""

    code = "LJ605"
    fault = "caller"


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("beyond the calendar") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class View(BaseModel):
    """Something to be shown; its JSON is camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True, frozen=True)


class LeadScoreView(View):
    """A lead's current scores; all None while it is unscored."""

    fit_score: int | None
    intent_score: int | None
    overall_score: int | None
    score_reasoning: str | None
    scored_at: Moment | None


class IdentityView(View):
    """A name of a lead: an address, a number, a provider's word for it."""

    kind: str
    value: str

    def masked(self) -> Self:
        """The same without what would reach the person."""
        return self.model_copy(update={"value": masked(self.kind, self.value)})


class LeadView(LeadScoreView):
    """A lead as it stands; in lists its identities are masked.

    ``channel`` is that of the newest inbound message; ``disqualified`` says why the lead must not be pursued.
    """

    id: int
    workspace_id: int
    first_name: str | None
    last_name: str | None
    company: str | None
    job_title: str | None
    identities: tuple[IdentityView, ...]
    channel: str | None
    last_inbound_at: Moment | None
    sentiment: str | None
    disqualified: str | None

    def masked(self) -> Self:
        """The same with its identities masked."""
        return self.model_copy(update={"identities": tuple(identity.masked() for identity in self.identities)})


class LeadPage(View):
    """Some leads, newest activity first; ``next_cursor`` asks for those after them, and is None at the end."""

    leads: tuple[LeadView, ...]
    next_cursor: str | None


class MessageView(View):
    """One message, either way; ``text`` is its beginning where ``text_length`` says that there is more."""

    id: int
    direction: str
    channel: str
    source: str
    sent_at: Moment
    subject: str | None
    text: str
    text_length: int
    sentiment: str | None
    consent: str | None


class FactView(View):
    """Something learned about a lead, and from where."""

    kind: str
    value: str
    origin: str
    message_id: int | None
    noted_at: Moment


class ScoreView(View):
    """One scoring, of the conversation through one message; no model and no cost where none was asked."""

    message_id: int
    through_message_id: int
    fit_score: int
    intent_score: int
    overall_score: int
    score_reasoning: str
    scored_at: Moment
    is_applied: bool
    model: str | None
    prompt_version: str | None
    cost_usd_micros: int | None


class DraftView(View):
    """A proposed answer to one message; nobody has sent it."""

    message_id: int
    text: str
    model: str
    prompt_version: str
    created_at: Moment


class EnrichmentView(View):
    """One request to an outside service for facts."""

    kind: str
    status: str
    error: str | None
    asked_at: Moment
    answered_at: Moment | None


class LeadDetail(LeadView):
    """Everything about a lead.  Messages are the newest ones, oldest first; all else is newest first."""

    industry: str | None
    headcount: str | None
    created_at: Moment
    last_outbound_at: Moment | None
    opted_out_at: Moment | None
    bounced_at: Moment | None
    conversation: tuple[MessageView, ...]
    earlier_messages: int
    scores: tuple[ScoreView, ...]
    drafts: tuple[DraftView, ...]
    facts: tuple[FactView, ...]
    enrichments: tuple[EnrichmentView, ...]


class Role(StrEnum):
    """What a token is for: readers read; operators may also act, where a door lets them."""

    READER = "reader"
    OPERATOR = "operator"


class TokenView(View):
    """A token as it is listed: everything but itself."""

    id: int
    name: str
    workspace: str
    role: Role
    created_at: Moment
    revoked_at: Moment | None


class ScoreFilter(StrEnum):
    """Which leads to list.  Disqualified leads hold 1, so that ``1+`` is every scored lead, these included."""

    FOUR = "4"
    FROM_THREE = "3+"
    FROM_TWO = "2+"
    FROM_ONE = "1+"
    UNSCORED = "unscored"
    DISQUALIFIED = "disqualified"


class Place(BaseModel):
    """A lead's place in a list: its last activity, then its id.

    >>> Place.parse(Place(at="2026-11-23T09:30:00Z", id=7).cursor).id
    7
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: Moment
    id: int = Field(ge=1, le=MAX_ID)

    @property
    def cursor(self) -> str:
        """The place as text that goes into an address; opaque to who gets it."""
        return base64.urlsafe_b64encode(self.model_dump_json().encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, cursor: str) -> Self:
        """The place that a cursor says.

        Raises:
            ValueError: it is none of ours.
        """
        padded = cursor + "=" * (-len(cursor) % 4)
        return cls.model_validate_json(base64.b64decode(padded, altchars=b"-_", validate=True), strict=True)


def masked(kind: str, value: str) -> str:
    """A lead's name, for those who only need to tell leads apart.

    >>> masked("email", "maya.ortiz@brightsmile.example"), masked("phone", "+447700900123")
    ('m***@brightsmile.example', '+44*******123')
    """
    match kind:
        case IdentityKind.EMAIL:
            name, at, domain = value.rpartition("@")
            return _initial(name) + at + domain if at else _initial(value)
        case IdentityKind.PHONE if len(value) >= _LONG_ENOUGH:
            return value[:_SHOWN] + "*" * (len(value) - 2 * _SHOWN) + value[-_SHOWN:]
        case IdentityKind.PHONE:
            return "*" * len(value)
        case IdentityKind.LINKEDIN_PROFILE:
            path, slash, name = value.rpartition("/")
            return path + slash + _initial(name)
        case _:
            return _initial(value)


def _initial(name: str) -> str:
    """The first letter, where there is more to hide."""
    return f"{name[:1] if len(name) > 1 else ''}***"
