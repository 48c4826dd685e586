"""The gradient check of a network together with its loss: what `Model.gradcheck` runs."""

from typing import Any, NamedTuple

from gatewright import checking
from gatewright.layers import Layer
from gatewright.parameters import Parameters
from gatewright.training.batches import Data, prepare, weigh
from gatewright.training.losses import LossLike
from gatewright.training.objective import objective


class Asked(NamedTuple):
    """How to check, in the words of `Model.gradcheck`."""

    seed: int
    directions: int
    elements: int
    method: str
    tolerance: float | None


def check(network: Layer, parameters: Parameters, data: Data, loss: LossLike, state: Any, asked: Asked) -> checking.Report:
    """The Report of every parameter, the input and the initial state, for float64 data whose loss is `loss`.

    state: the checked initial state, or None. Raises OptionError, and UninformativeError as gw.gradcheck does.
    """
    goal = objective(network, loss)
    batch = prepare(goal, data, float)

    def value(y: Any, final: Any) -> tuple[Any, Any, Any]:
        return *weigh(goal.loss, y, batch, batch.total), None

    method = checking.chosen_method(asked.method, goal.layer.analytic and goal.loss.analytic)
    rng = checking.generator(asked.seed)
    params = checking.random_parameters(goal.layer, rng, parameters)
    choices = checking.choices(method, asked.directions, asked.elements, asked.tolerance)
    given = checking.Inputs(data.x, state, data.steps)
    return checking.check_network(goal.layer, params, given, value, choices, rng)
