"""What an inbound reply is, whatever provider brought it: the contract every channel adapter meets."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType, Protocol

from leadjobs.leads.fact import Fact
from leadjobs.web.delivery import Answer, Delivery

__all__ = [
    "Adapter",
    "Channel",
    "Consent",
    "Delivery",
    "Found",
    "FoundStatus",
    "History",
    "Identity",
    "IdentityKind",
    "Ignored",
    "Inbound",
    "LeadId",
    "Meaning",
    "MessageId",
    "Outbound",
    "Person",
    "Sent",
    "Told",
    "WorkspaceId",
]

WorkspaceId = NewType("WorkspaceId", int)
LeadId = NewType("LeadId", int)
MessageId = NewType("MessageId", int)


class Channel(StrEnum):
    """The medium that a person sees."""

    SMS = "sms"
    EMAIL = "email"
    LINKEDIN = "linkedin"


class IdentityKind(StrEnum):
    """What can name a lead inside one workspace."""

    EMAIL = "email"
    PHONE = "phone"
    LINKEDIN = "linkedin"  # the member's id at LinkedIn
    LINKEDIN_PROFILE = "linkedin_profile"  # the address of the member's page
    UNIPILE_CHAT = "unipile_chat"
    EMAILBISON_LEAD = "emailbison_lead"
    GOHIGHLEVEL_CONTACT = "gohighlevel_contact"
    SMARTLEAD_LEAD = "smartlead_lead"


class Consent(StrEnum):
    """What the provider itself says about writing to this person, beside or without the person's own words."""

    STOPPED = "stopped"  # they unsubscribed, or answered STOP
    STARTED = "started"  # they take that back
    BOUNCED = "bounced"  # nothing we send arrives there


@dataclass(frozen=True, slots=True)
class Identity:
    """One name of a lead; addresses and telephone numbers are kept in one spelling, so that equal means equal."""

    kind: IdentityKind
    value: str

    @classmethod
    def email(cls, address: str) -> "Identity":
        """The identity of an e-mail address: trimmed and lower case."""
        return cls(IdentityKind.EMAIL, address.strip().lower())

    @classmethod
    def phone(cls, number: str) -> "Identity":
        """The identity of a telephone number: digits and one leading plus, where it had one."""
        digits = re.sub(r"\D", "", number)
        return cls(IdentityKind.PHONE, f"+{digits}" if number.strip().startswith("+") else digits)

    @classmethod
    def linkedin_profile(cls, address: str) -> "Identity":
        """The identity of a member's page: lower case, without scheme, query and a slash at its end.

        >>> Identity.linkedin_profile("https://www.LinkedIn.com/in/maya-ortiz/?x=1").value
        'linkedin.com/in/maya-ortiz'
        """
        plain = re.sub(r"^(?:https?://)?(?:\w+\.)?linkedin\.com", "linkedin.com", address.strip().lower())
        return cls(IdentityKind.LINKEDIN_PROFILE, re.split(r"[?#]", plain, maxsplit=1)[0].rstrip("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What a delivery tells about the lead beside its names; None is not known."""

    first_name: str | None = None
    last_name: str | None = None
    job_title: str | None = None
    company: str | None = None
    industry: str | None = None
    headcount: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A message of ours that a reply answers, as the reply's delivery carries it."""

    message_key: str
    text: str
    subject: str | None = None
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One message between a lead and us, as one delivery tells of it.

    ``tenant_keys`` name the workspace in the provider's words, best first.  ``delivery_key`` is what the provider keeps
    over re-sends of this delivery; ``message_key`` names the message itself, which several deliveries may speak of.
    Neither may contain anything that changes when the same thing is sent again.  ``identities`` are the lead's, best
    first, at least one.  ``sent_at`` is aware, or None where the provider does not say.
    """

    source: str
    tenant_keys: tuple[str, ...]
    delivery_key: str
    message_key: str
    channel: Channel
    identities: tuple[Identity, ...]
    text: str
    subject: str | None = None
    sender: str
    recipient: str
    sent_at: datetime | None = None
    person: Person = Person()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound(Told):
    """What came from a lead: a reply, or news that they unsubscribed or cannot be reached (then ``text`` is empty)."""

    consent: Consent | None = None
    answers: Sent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound(Told):
    """What we sent, by a campaign or by hand: kept for the conversation, and never a job."""


class FoundStatus(StrEnum):
    """How a question to an outside service ended."""

    FOUND = "found"
    NOT_FOUND = "not_found"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What an outside service answers about a lead: no message, and of the workspace whose lead it was asked about.

    ``request_id`` is the one that the question was asked under.
    """

    source: str
    tenant_keys: tuple[str, ...] = ()
    delivery_key: str
    request_id: str
    status: FoundStatus
    person: Person = Person()
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A genuine delivery that says nothing of a conversation: kept with its reason, answered 200, never a job."""

    source: str
    tenant_keys: tuple[str, ...]
    delivery_key: str
    reason: str


Meaning = Inbound | Outbound | Found | Ignored


class Adapter(Protocol):
    """One provider's webhooks."""

    @property
    def source(self) -> str:
        """The last segment of the webhook's path: ``twilio`` in ``/api/webhooks/twilio``."""

    @property
    def thanks(self) -> Answer | None:
        """The body this provider insists on in an answer of 200; None where any will do."""

    def verify(self, delivery: Delivery) -> None:
        """Return if the delivery proves that its sender knows our secret.

        Raises:
            BadSignatureError: wrong, missing or malformed proof, or no secret is configured.
        """

    def read(self, delivery: Delivery) -> Meaning:
        """Say what a verified delivery means.

        Raises:
            MalformedWebhookError: it is not what this provider sends; the message names the field.
        """


class History(Protocol):
    """One provider's own memory of a conversation, over its API."""

    async def earlier(self, delivery: Delivery, *, time_left: float) -> tuple[Inbound | Outbound, ...]:
        """The messages before the reply that this kept delivery brought, with the keys its webhooks give them.

        Raises:
            ProviderError: the provider is unavailable (then a ProviderUnavailableError), or refuses.
        """
