"""Checks of the plain values that users type: each raises OptionError with what was got and what was wanted."""

import math
from numbers import Integral, Real
from typing import Any

from gatewright.errors import OptionError


def is_number(got: Any) -> bool:
    """Whether `got` is a finite real number, and not a bool."""
    return not isinstance(got, bool) and isinstance(got, Real) and math.isfinite(got)


def whole_number(option: str, got: Any, least: int = 1) -> None:
    """Raises OptionError unless `got` is a whole number of at least `least`."""
    if isinstance(got, bool) or not isinstance(got, Integral) or got < least:
        raise OptionError(f"{option}: got {got!r}, wanted a whole number of at least {least}")


def true_or_false(option: str, got: Any) -> None:
    """Raises OptionError unless `got` is a bool."""
    if type(got).__name__ not in ("bool", "bool_"):  # Python's and NumPy's
        raise OptionError(f"{option}: got {got!r}, wanted True or False")


def fraction(option: str, got: Any) -> None:
    """Raises OptionError unless `got` is a number in [0, 1)."""
    if not is_number(got) or not 0 <= got < 1:
        raise OptionError(f"{option}: got {got!r}, wanted a number from 0 up to, not including, 1")


def number(option: str, got: Any) -> None:
    """Raises OptionError unless `got` is a finite number."""
    if not is_number(got):
        raise OptionError(f"{option}: got {got!r}, wanted a number")


def not_negative(option: str, got: Any) -> None:
    """Raises OptionError unless `got` is a finite number from 0 up."""
    if not is_number(got) or got < 0:
        raise OptionError(f"{option}: got {got!r}, wanted a number from 0 up")


def positive(option: str, got: Any) -> None:
    """Raises OptionError unless `got` is a finite number above 0."""
    if not is_number(got) or got <= 0:
        raise OptionError(f"{option}: got {got!r}, wanted a number above 0")
