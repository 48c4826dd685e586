"""Hypothesis strategies for batches of unequal rows."""

import numpy as np
from hypothesis import strategies as st

from gatewright.steps import Steps


def bools(batch, time):
    """A (B, T) bool array."""
    flags = st.lists(st.booleans(), min_size=batch * time, max_size=batch * time)
    return flags.map(lambda values: np.array(values, bool).reshape(batch, time))


@st.composite
def ragged_steps(draw, most_rows=3, most_steps=6):
    """(B, T, Steps) with or without lengths (0 … T), a mask with holes, and starts, at dead steps too."""
    batch, time = draw(st.integers(0, most_rows)), draw(st.integers(0, most_steps))
    lengths = st.lists(st.integers(0, time), min_size=batch, max_size=batch).map(lambda values: np.array(values, int))
    flags = bools(batch, time)
    return batch, time, Steps(*(draw(st.none() | choice) for choice in (lengths, flags, flags)))


def as_lists(steps):
    """The three arrays of a Steps as keywords for the oracle."""
    return {name: None if array is None else array.tolist() for name, array in steps._asdict().items()}
