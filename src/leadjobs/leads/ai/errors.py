"""What can be wrong with a model's answer, beside what any provider's can."""

from datetime import timedelta
from typing import ClassVar

from leadjobs.core.outcome import Hold
from leadjobs.errors import ProviderError, ProviderRefusedError, ProviderUnavailableError

_MAX_WAIT = 6 * 3600.0  # seconds, where it asks for more


class InvalidAnswerError(ProviderError):
    """The model's answer breaks a rule, which the message names; asked again, it may keep to it."""

    code = "LJ503"
    is_transient: ClassVar[bool] = True


class TruncatedAnswerError(InvalidAnswerError):
    """The answer ended at its token budget; with a larger one it may be whole."""

    code = "LJ505"


class ModelBusyError(ProviderUnavailableError):
    """The provider said when to come back: until then nothing that uses the same is to be started."""

    code = "LJ507"

    def __init__(self, message: str, *, uses: str, retry_after: float | None) -> None:
        super().__init__(message, retry_after=retry_after)
        self._uses = uses

    @property
    def hold(self) -> Hold:
        """What the job returns: it waits, and so do all others that use the same, at no cost in attempts."""
        if self.retry_after is None:
            return Hold(self._uses, None, f"{self}, then `leadjobs holds release {self._uses}`")
        return Hold(self._uses, timedelta(seconds=min(_MAX_WAIT, self.retry_after)), str(self))


class QuotaExhaustedError(ModelBusyError):
    """The account has no credit: a person must act, waiting alone heals nothing."""

    code = "LJ504"


class ModelRetiredError(ProviderRefusedError):
    """The provider no longer has the model, and nothing is known to follow it: another must be configured."""

    code = "LJ506"
