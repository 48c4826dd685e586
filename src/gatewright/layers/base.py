"""The contract of every layer, and the names by which layers are stored."""

import dataclasses
from abc import ABC, abstractmethod
from typing import Any, TypeAlias

import numpy as np

from gatewright.arrays import Array
from gatewright.parameters import Parameters, Scope
from gatewright.steps import Steps

Result: TypeAlias = tuple[Any, Any, Any]  # output, state, cache


@dataclasses.dataclass(frozen=True)
class Layer(ABC):
    """What to compute: a frozen description, equal by value, that holds no arrays.

    The parameters are values of their own, made by `init` and handed to `forward` and `backward`.
    """

    @abstractmethod
    def init(self, rng: np.random.Generator) -> Parameters:
        """New parameters (float64), drawn from `rng`."""

    @abstractmethod
    def forward(
        self,
        params: Scope,
        x: Array,
        state: Any = None,
        *,
        steps: Steps | None = None,
        training: bool = False,
        rng: np.random.Generator | None = None,
        kernel: str = "auto",
    ) -> Result:
        """(y, state, cache) for x, batch first; dead steps of y are zero."""

    @abstractmethod
    def backward(self, params: Scope, grads: Scope, cache: Any, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """(dx, dstate) from the gradients of the output and of the final state (None: zero); adds the rest into `grads`."""

    def steps_out(self, x: Array, steps: Steps | None) -> Steps | None:
        """The live steps that the next layer sees."""
        return steps
