"""What is made small: a network, a loss on its output, and the final activation that the loss has inside."""

from typing import NamedTuple

from gatewright.activations import Activation
from gatewright.arrays import Array
from gatewright.errors import OptionError
from gatewright.layers import Layer, final_activation, fold_final
from gatewright.training import losses
from gatewright.training.losses import Loss, LossLike

PROBABILITIES = {"softmax": "cross_entropy", "sigmoid": "binary_cross_entropy"}


class Objective(NamedTuple):
    """A network and a loss that fit together."""

    layer: Layer  # without the final activation, if the loss has it inside; the same parameters serve it
    loss: Loss
    final: Activation | None  # that activation, or None if nothing was taken off

    def prediction(self, output: Array) -> Array:
        """What `predict` gives, from the output of `layer`, of the same shape."""
        return output if self.final is None else self.final.forward(output)


def objective(layer: Layer, loss: LossLike) -> Objective:
    """The objective of a network and a loss, with a final softmax or sigmoid folded into the loss that wants logits.

    Raises OptionError where the final activation contradicts the loss.
    """
    loss = losses.get(loss)
    final = final_activation(layer)
    if loss.folds is None or final is None or final.name not in PROBABILITIES:
        return Objective(layer, loss, None)
    if final.name != loss.folds:
        better = f"loss={PROBABILITIES[final.name]!r} or activation={loss.folds!r}"
        raise OptionError(f"{PROBABILITIES[loss.folds]} can't follow the final activation {final.name!r}; use {better}")
    folded = fold_final(layer, final.name)
    if folded is None:
        where = f"but {final!r} makes the output in a place where it can't be left out: end with a gw.Dense"
        raise OptionError(f"{PROBABILITIES[loss.folds]} takes logits, {where}")
    return Objective(folded, loss, final)
