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
    └── ProviderError              LJ5  theirs
        ├── ProviderUnavailableError   429, 5xx, timeouts; may carry retry_after
        └── ProviderRefusedError       it said no and means it

Rooms below add their own beside what they are about; docs/errors.md lists all.
"""

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
