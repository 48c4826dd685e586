"""What the axes of a value mean, and where they go.

An axis is a tuple of letters: 0 and 1 the input's first two axes, batch and time or the other way round, D directions or layers
whose outputs lie side by side, F features. Of several letters the first is the slowest; () is an axis of size 1, for nothing.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Axis: TypeAlias = tuple[str, ...]
Axes: TypeAlias = tuple[Axis, ...]
FEATURES: Axis = ("F",)
SIDES: Axis = ("D",)


def reshaped(axes: Axes, sizes: Mapping[str, int], shape: Sequence[int]) -> Axes | None:
    """The axes of a value of these axes, whose letters have these sizes, in another shape.

    None where an axis is torn apart, or batch or time is gone.
    """
    letters = [letter for axis in axes for letter in axis]
    found: list[Axis] = []
    for size in shape:
        axis: list[str] = []
        left = size
        while letters and (left > 1 or (not axis and sizes[letters[0]] == size == 1)):
            if left % sizes[letters[0]]:
                return None
            left //= sizes[letters[0]]
            axis.append(letters.pop(0))
        if left > 1:
            return None
        found.append(tuple(axis))
    return tuple(found) if all(sizes[letter] == 1 and letter not in "01" for letter in letters) else None


def squeezed(axes: Axes, gone: Sequence[int]) -> Axes:
    """Without some axes, of size 1."""
    return tuple(axis for k, axis in enumerate(axes) if k not in gone)


def unsqueezed(axes: Axes, new: Sequence[int]) -> Axes:
    """With axes of size 1 at these places of the result."""
    found = list(axes)
    for place in sorted(new):
        found.insert(place, ())
    return tuple(found)
