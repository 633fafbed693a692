"""The errors of the engine, and the base of all others, on one screen.

``code`` is stable and documented in docs/errors.md; ``fault`` says who must act: the *caller*, *us* (the people who run
leadjobs) or *them* (the provider); ``is_transient`` says whether doing the same again later may work.

    LeadjobsError
    ├── SettingsError              LJ1  ours
    ├── EnqueueError               LJ2  caller
    │   └── PayloadError
    ├── StoreError                 LJ3  ours
    │   ├── LeaseLostError         normal where leases exist: the job has another owner by now
    │   ├── SchemaBehindError      migrations have not run
    │   ├── JobNotFoundError
    │   └── ScheduleNotFoundError
    ├── WebhookError               LJ4  caller
    │   ├── UnknownSourceError
    │   ├── BadSignatureError
    │   ├── TooLargeError
    │   └── MalformedWebhookError
    ├── ProviderError              LJ5  theirs
    │   ├── ProviderUnavailableError   429, 5xx, timeouts; may carry retry_after
    │   └── ProviderRefusedError       it said no and means it
    ├── NotSentError               LJ7  theirs: the call was certainly not made
    ├── EffectUnknownError         LJ7  ours: a person must look whether it was made
    ├── OverBudgetError            LJ7  ours: what was asked is over the day's cap
    └── OutOfTimeError             LJ7  ours: the run has too little time left for what comes next

Rooms below add their own beside what they are about; docs/errors.md lists all.
"""

from datetime import UTC, datetime
from typing import ClassVar, Literal

Fault = Literal["caller", "ours", "theirs"]


class LeadjobsError(Exception):
    """The base of every error of leadjobs."""

    code: ClassVar[str] = "LJ000"
    fault: ClassVar[Fault] = "ours"
    is_transient: ClassVar[bool] = False


class SettingsError(LeadjobsError):
    """A setting is missing or cannot work; the message names it and the fix."""

    code = "LJ100"


class EnqueueError(LeadjobsError):
    """A job could not be enqueued; nothing was written."""

    code = "LJ200"
    fault = "caller"


class PayloadError(EnqueueError):
    """A payload does not match its job type; the message names the field."""

    code = "LJ201"


class StoreError(LeadjobsError):
    """The database said something that leadjobs cannot go on from."""

    code = "LJ300"


class LeaseLostError(StoreError):
    """The job has another owner by now (or was cancelled): nothing of this run was written."""

    code = "LJ301"


class SchemaBehindError(StoreError):
    """The database has not been migrated to what this release needs."""

    code = "LJ302"


class JobNotFoundError(StoreError):
    """There is no job with this id."""

    code = "LJ303"
    fault = "caller"


class ScheduleNotFoundError(StoreError):
    """There is no schedule of this name."""

    code = "LJ304"
    fault = "caller"


class WebhookError(LeadjobsError):
    """A webhook delivery cannot be accepted."""

    code = "LJ400"
    fault = "caller"


class UnknownSourceError(WebhookError):
    """No adapter is configured for this source."""

    code = "LJ401"


class BadSignatureError(WebhookError):
    """The delivery does not prove that its sender knows the secret (or no secret is set: we fail closed)."""

    code = "LJ402"


class TooLargeError(WebhookError):
    """The body is over the size limit; it was not parsed."""

    code = "LJ403"


class MalformedWebhookError(WebhookError):
    """The sender is genuine, but the body cannot be read; the message names the field."""

    code = "LJ404"


class ProviderError(LeadjobsError):
    """An outside service did not do what was asked."""

    code = "LJ500"
    fault = "theirs"


class ProviderUnavailableError(ProviderError):
    """The service is busy, down or slow; the same call may work later.

    ``retry_after`` is the number of seconds the service asked us to wait, where it said so.
    """

    code = "LJ501"
    is_transient = True

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProviderRefusedError(ProviderError):
    """The service refused, and will refuse again."""

    code = "LJ502"


class NotSentError(LeadjobsError):
    """Raised by an effect's ``send``: the call was certainly not made, and may be made again.

    ``retry_after`` is the number of seconds to wait first, where that is known.

    >>> NotSentError("connection refused", retry_after=30).retry_after
    30
    """

    code = "LJ700"
    fault = "theirs"
    is_transient = True

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class EffectUnknownError(LeadjobsError):
    """Nobody knows whether an effect was made; the message names the commands that say so.

    >>> EffectUnknownError.fault, EffectUnknownError.is_transient
    ('ours', False)
    """

    code = "LJ701"


class OverBudgetError(LeadjobsError):
    """An amount does not fit what is left of a tenant's day; nothing was reserved.  ``until`` is when to ask again.

    That is when the next day begins; or soon, where it would fit if the runs of others took nothing of what they have
    ``reserved``.

    >>> from datetime import UTC
    >>> tomorrow = datetime(2026, 11, 24, tzinfo=UTC)
    >>> str(OverBudgetError(tenant="acme", unit="tokens", used=9, cap=10, asked=2, until=tomorrow))
    '2 tokens asked for, but 9 of 10 are used of today by acme; more from 2026-11-24 00:00:00 UTC'
    """

    code = "LJ710"
    is_transient = True

    def __init__(
        self, *, tenant: str, unit: str, used: int, cap: int, asked: int, until: datetime, reserved: int = 0
    ) -> None:
        self.tenant, self.unit, self.used, self.cap, self.asked = tenant, unit, used, cap, asked
        self.until, self.reserved = until, reserved
        whose = f"by {tenant}" if tenant else "where jobs have no tenant"
        open_ = f", {reserved} of it only reserved, by what runs now" if reserved else ""
        told = f"{asked} {unit} asked for, but {used} of {cap} are used of today {whose}{open_}; "
        never = f"a whole day has less: raise the cap, `leadjobs budget set '{tenant}' {unit} AMOUNT`"
        super().__init__(told + (never if asked > cap else f"more from {until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"))


class OutOfTimeError(LeadjobsError):
    """Raised by a handler: the time that this run has left is too little for what comes next.

    Where the invocation's end is what leaves so little, the job is handed back at no attempt, and that invocation
    starts no other of its type.  Where the job's own timeout is, that is a failed attempt.

    >>> raise OutOfTimeError("0.6 s left are too few to ask OpenAI")
    Traceback (most recent call last):
        ...
    leadjobs.errors.OutOfTimeError: 0.6 s left are too few to ask OpenAI
    """

    code = "LJ720"
    is_transient = True
