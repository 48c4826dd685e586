"""Checks of the real numbers that users type. Those of whole numbers and fractions are the layers'."""

import math
from numbers import Real
from typing import Any

from gatewright.errors import OptionError


def is_number(got: Any) -> bool:
    """Whether `got` is a finite real number, and no bool."""
    return not isinstance(got, bool) and isinstance(got, Real) and math.isfinite(got)


def not_negative(option: str, got: Any) -> None:
    """Raises OptionError unless `got` is a finite number from 0 up."""
    if not is_number(got) or got < 0:
        raise OptionError(f"{option}: got {got!r}, wanted a number from 0 up")


def positive(option: str, got: Any) -> None:
    """Raises OptionError unless `got` is a finite number above 0."""
    if not is_number(got) or got <= 0:
        raise OptionError(f"{option}: got {got!r}, wanted a number above 0")
