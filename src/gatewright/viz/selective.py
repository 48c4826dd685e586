"""Which units tell something apart: how much of a unit's activation one thing about the input explains."""

from typing import NamedTuple

import numpy as np

from gatewright.arrays import Array


class Selectivity(NamedTuple):
    """Of H units, each: how much of it is explained, 0 to 1, and by what."""

    score: Array  # (H,)
    of: Array  # (H,) the class with the most distant mean, or the column with the strongest correlation
    sign: Array  # (H,) whether the unit is above (1) or below (-1) its mean there, or goes with (1) or against (-1) the column


def by_class(h: Array, classes: Array) -> Selectivity:
    """How well the class (T,) of a step tells the activations h (T, H): the adjusted correlation ratio (Kelley 1935).

    It is 1 - (1 - R²)(T - 1)/(T - K), with K classes seen, so that many rare classes explain nothing by themselves; 0 where
    that is negative, or there are as many classes as steps. The class named is one that was seen at least twice, if any was.
    """
    _, index, counts = np.unique(classes, return_inverse=True, return_counts=True)
    steps, kinds = len(h), len(counts)
    centred = h - h.mean(axis=0)
    sums = np.zeros((kinds, h.shape[1]))
    np.add.at(sums, index, centred)
    means = sums / counts[:, None]
    whole = (centred**2).sum(axis=0)
    within = whole - (counts[:, None] * means**2).sum(axis=0)
    ratio = within * (steps - 1) / (np.where(whole > 0, whole, 1) * max(steps - kinds, 1))
    score = np.where(whole > 0, np.clip(1 - ratio, 0, 1), 0.0) if steps > kinds else np.zeros(h.shape[1])
    usual = counts >= 2 if (counts >= 2).any() else counts >= 1
    best = np.argmax(np.abs(means) * usual[:, None], axis=0)
    return Selectivity(score, np.unique(classes)[best], np.sign(means[best, np.arange(h.shape[1])]))


def by_column(h: Array, x: Array) -> Selectivity:
    """The strongest squared correlation of the activations h (T, H) with a column of x (T, F)."""
    a, b = h - h.mean(axis=0), x - x.mean(axis=0)
    size = np.sqrt(np.outer((b**2).sum(axis=0), (a**2).sum(axis=0)))
    correlation = np.where(size > 0, b.T @ a, 0) / np.where(size > 0, size, 1)
    best = np.argmax(np.abs(correlation), axis=0)
    strongest = correlation[best, np.arange(h.shape[1])]
    return Selectivity(np.clip(strongest**2, 0, 1), best, np.sign(strongest))
