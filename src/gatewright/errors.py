"""Every refusal of gatewright: one line that says what was got, what was wanted and what to do."""

from collections.abc import Iterable
from typing import Any


class GatewrightError(ValueError):
    """Base of every error that gatewright raises on purpose."""


class ShapeError(GatewrightError):
    """An array has the wrong rank, shape or length."""


class DataError(GatewrightError):
    """Values that can't be used: NaN at a live step, text in a numeric column, a class out of range."""


class OptionError(GatewrightError):
    """An option has an unknown or impossible value, or two options contradict each other."""


class FormatError(GatewrightError):
    """A file is truncated, foreign, or says something that this version can't read."""


class MissingFileError(GatewrightError, FileNotFoundError):
    """A file or folder is not there."""


class MissingExtraError(GatewrightError, ImportError):
    """An optional dependency is not installed."""


class NotFiniteError(GatewrightError):
    """Training met NaN or infinity."""


def missing_extra(package: str, extra: str, purpose: str) -> MissingExtraError:
    """The one line that names the extra which brings `package`."""
    return MissingExtraError(f"{purpose} needs {package}: pip install 'gatewright[{extra}]'")


def one_of(option: str, got: Any, known: Iterable[Any]) -> OptionError:
    """The one line for an unknown option value, with the known ones listed."""
    return OptionError(f"{option}={got!r} is unknown; known: {', '.join(map(repr, known))}")


def shortened(error: Any) -> str:
    """The text of an error, which may quote a file at any length, as one line of a message."""
    text = " ".join(str(error).split())
    return text if len(text) < 300 else f"{text[:300]}…"
