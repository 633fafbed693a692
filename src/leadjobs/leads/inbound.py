"""What an inbound reply is, whatever provider brought it: the contract every channel adapter meets."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType, Protocol

from leadjobs.web.delivery import Answer, Delivery

__all__ = [
    "Adapter",
    "Channel",
    "Consent",
    "Delivery",
    "Identity",
    "IdentityKind",
    "Ignored",
    "Inbound",
    "LeadId",
    "MessageId",
    "WorkspaceId",
]

WorkspaceId = NewType("WorkspaceId", int)
LeadId = NewType("LeadId", int)
MessageId = NewType("MessageId", int)


class Channel(StrEnum):
    """The medium that a person sees."""

    SMS = "sms"
    EMAIL = "email"


class IdentityKind(StrEnum):
    """What can name a lead inside one workspace."""

    EMAIL = "email"
    PHONE = "phone"
    EMAILBISON_LEAD = "emailbison_lead"


class Consent(StrEnum):
    """What the provider itself says about the sender's consent (Twilio's Advanced Opt-Out, say)."""

    STOPPED = "stopped"
    STARTED = "started"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """One reply of one person.

    ``tenant_keys`` name the workspace in the provider's words, best first.  ``delivery_key`` is what the provider keeps
    over re-sends of this delivery; ``message_key`` names the reply itself, which several deliveries may speak of.
    Neither may contain anything that changes when the same thing is sent again.
    ``sent_at`` is aware, or None where the provider does not say.
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
    first_name: str | None = None
    last_name: str | None = None
    job_title: str | None = None
    company: str | None = None
    consent: Consent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A genuine delivery that is no reply of a lead: kept in the inbox with its reason, answered 200, never a job."""

    source: str
    tenant_keys: tuple[str, ...]
    delivery_key: str
    reason: str


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

    def read(self, delivery: Delivery) -> Inbound | Ignored:
        """Say what a verified delivery means.

        Raises:
            MalformedWebhookError: it is not what this provider sends; the message names the field.
        """
