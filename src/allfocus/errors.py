"""The exception tree: every error says what it got, what it expected and what to try."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class AllfocusError(Exception):
    """Base of every error that allfocus raises on purpose.

    Args:
        got: the cause, with names and numbers ("photo.jpg is empty (0 bytes)").
        expected: what would have worked ("a JPEG, PNG, TIFF, WebP or AVIF photo").
        hint: what to try next ("copy it from the camera again").
    """

    exit_code = 2

    def __init__(self, got: str, expected: str, hint: str) -> None:
        self.got = got
        self.expected = expected
        self.hint = hint
        super().__init__(f"{got}; expected {expected}; try: {hint}")

    def __reduce__(self) -> tuple[type[AllfocusError], tuple[str, str, str]]:
        return type(self), (self.got, self.expected, self.hint)


class InputError(AllfocusError):
    """A photo, array or folder that cannot be used as given."""


class PhotoSizeError(InputError):
    """A photo with more pixels than the limit."""


class UnknownFormatError(InputError):
    """Bytes that are not a photo in a readable format."""


class OutputError(AllfocusError):
    """A target that cannot be written; nothing is left behind."""


class JournalError(OutputError):
    """A batch journal that cannot be written; finished photos are kept."""


class StoreError(AllfocusError):
    """A store of photos (S3, GS, HTTP) that does not respond; the work can resume when it does."""


class OptionError(AllfocusError):
    """An option or argument with an invalid value."""


class WeightsError(AllfocusError):
    """A weights file or card that is missing, damaged or made for something else."""


class EngineError(AllfocusError):
    """An engine that is missing or cannot run this model here."""


class EngineMemoryError(EngineError):
    """The engine ran out of memory on a tile; a plan with smaller tiles may pass."""


class DataError(AllfocusError):
    """A data set whose layout, pairing or content is not what was expected."""


class TrainingError(AllfocusError):
    """A training run that cannot continue."""


class UnexpectedError(AllfocusError):
    """An unexpected error: a bug in allfocus, worth a report.

    Args:
        error: what was raised.
    """

    def __init__(self, error: BaseException) -> None:
        self.error = error
        super().__init__(
            f"an unexpected error ({type(error).__name__}: {error})",
            "none",
            "the same with --debug, and report what it prints: this is a bug in allfocus",
        )

    def __reduce__(self) -> tuple[type[UnexpectedError], tuple[BaseException]]:  # type: ignore[override]
        return type(self), (self.error,)


class MissingExtraError(AllfocusError):
    """A feature whose optional dependencies are not installed."""

    def __init__(self, feature: str, extra: str, package: str | None = None) -> None:
        self.feature = feature
        self.extra = extra
        self.package = package
        super().__init__(
            f"{feature} needs {package or 'packages'} that this install lacks",
            f"the '{extra}' extra",
            f"pip install 'allfocus[{extra}]'",
        )

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str, str | None]]:  # type: ignore[override]
        return type(self), (self.feature, self.extra, self.package)


@contextmanager
def needs(feature: str, extra: str, package: str | None = None) -> Iterator[None]:
    """Around imports of optional packages: `MissingExtraError` where they are not installed."""
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(feature, extra, package) from error
