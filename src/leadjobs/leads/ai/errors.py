"""What can be wrong with a model's answer, beside what any provider's can."""

from typing import ClassVar

from leadjobs.errors import ProviderError, ProviderRefusedError, ProviderUnavailableError


class InvalidAnswerError(ProviderError):
    """The model's answer breaks a rule, which the message names; asked again, it may keep to it."""

    code = "LJ503"
    is_transient: ClassVar[bool] = True


class TruncatedAnswerError(InvalidAnswerError):
    """The answer ended at its token budget; with a larger one it may be whole."""

    code = "LJ505"


class QuotaExhaustedError(ProviderUnavailableError):
    """The account has no credit: a person must act, waiting alone heals nothing.  ``retry_after`` is 15 minutes."""

    code = "LJ504"


class ModelRetiredError(ProviderRefusedError):
    """The provider no longer has the model, and nothing is known to follow it: another must be configured."""

    code = "LJ506"
