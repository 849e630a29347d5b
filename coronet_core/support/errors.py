"""Errors a user can mend. Raised where the fault is seen, caught once at the edge (`python -m tasks`, `coronet`)."""

from coronet_core.support.credentials import without_credentials


class CoroNetError(Exception):
    """Something a user can mend. The message says what was wrong, the value, and what to do next.

    Addresses in it lose their credentials: it is shown in terminals, logs and pages.
    """

    def __init__(self, message: str) -> None:
        super().__init__(without_credentials(message))


class DataError(CoroNetError):
    """The images or their labels cannot be used as they are."""


class DamagedFileError(CoroNetError):
    """A file is not what was written: truncated, or with other bytes."""


class ParamsError(CoroNetError):
    """A parameter file is missing, malformed, or asks for the impossible."""


class TrainingError(CoroNetError):
    """Training went somewhere from which it does not come back."""


class WeightsError(CoroNetError):
    """A weights file is missing, damaged, or belongs to another network."""


class TransientError(CoroNetError):
    """An external service or device failed; a later retry may succeed."""
