"""RNN, LSTM and GRU: the layers' arguments, and what each cell adds to what they have in common."""

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from gatewright import cells, checks, initializers
from gatewright.activations import Activation, ActivationsLike
from gatewright.arrays import Array
from gatewright.errors import OptionError
from gatewright.layers.base import Shape
from gatewright.layers.recurrent import Recurrent
from gatewright.layers.stack import ACTIVATIONS


@dataclass(frozen=True, init=False, repr=False)
class RNN(Recurrent):
    """Simple recurrent layers (Elman 1990): h' = activation(x W + h U + b).

    x is (B, T, input_size); the output (B, T, hidden_size * directions), or its last live step (B, hidden_size * directions)
    with return_sequences=False. The state is `(h,)`, of shape (num_layers * directions, B, hidden_size).

    Each layer and direction has W (F, H), U (H, H), b (H,) and, with learn_initial_state, h0 (H,); with k gates W, U and b are
    k times as wide, the gates side by side.

    num_layers: layers on top of each other, with `dropout`, a rate in [0, 1), of what goes from one to the next in training.
    input_dropout, recurrent_dropout: rates in [0, 1) of what training drops of the input, and of the hidden state on its way
        to U, where every gate has a mask of its own; the same numbers at every step (Gal & Ghahramani 2016; Keras' dropout
        and recurrent_dropout; with both, Keras has a mask a gate for the input too, and here one serves all). Masks are drawn
        anew in every forward pass: for every sequence (with `starts` every segment, with tbptt every window), layer and
        direction.
    bidirectional: a second layer that runs from the end, its output concatenated.
    return_state_sequence: the output is a State instead, every layer's and direction's h (and c) of every step, joined on
        the last axis: (B, T, num_layers * directions * hidden_size).
    go_backwards: run from the end; outputs stand in the order of processing, the live steps first.
    masked_output: "zero", or "repeat" for Keras' rule that a dead step repeats the last live output of its call (zero before
        the first). A layer behind this one does not read dead steps, so that only a network's last layer shows it.
    activation: a name, None (linear) or a gw.Activation; if bidirectional also a pair of them, (forward, backward).
    clip: whatever goes into an activation is brought to [-clip, clip] first, the cell clip of ONNX.
    bias: False leaves the bias out.
    stateful: said of a network that was made to carry its state from call to call (Keras' stateful=True). Nothing changes:
        `run` and `stream` carry it anyway, and `predict`, which begins anew, warns once.
    learn_initial_state: the state from which sequences begin is trained (it begins at zero).
    init: "keras" (kernel_initializer "glorot_uniform", recurrent_initializer "orthogonal", bias_initializer "zeros", or
        others by name), "pytorch" (all of U(-1/sqrt(H), 1/sqrt(H))) or, for cells with gates,
        "chrono" (biases of Tallec & Ollivier 2018 for memories of up to `chrono_steps` steps, default 100).
    trainable: False freezes the layer's parameters.

    Raises OptionError for an impossible value, with the known ones.
    """

    cell: ClassVar[ModuleType] = cells.rnn

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        return_sequences: bool = True,
        return_state_sequence: bool = False,
        go_backwards: bool = False,
        masked_output: str = "zero",
        activation: ActivationsLike = "tanh",
        clip: float | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        stateful: bool = False,
        learn_initial_state: bool = False,
        init: str = "keras",
        kernel_initializer: str | None = None,
        recurrent_initializer: str | None = None,
        bias_initializer: str | None = None,
        trainable: bool = True,
    ) -> None:
        self._store(locals())
        self._check()

    @cached_property
    def options(self) -> Any:
        return cells.rnn.Options(self._clipped("activation"))


@dataclass(frozen=True, init=False, repr=False)
class Gated(Recurrent):
    """What LSTM and GRU have beyond RNN."""

    recurrent_activation: Activation | tuple[Activation, Activation]
    chrono_steps: int | None

    def _check(self) -> None:
        super()._check()
        if self.initialization == "chrono":
            if self.chrono_steps is None:
                object.__setattr__(self, "chrono_steps", 100)
            checks.whole_number("chrono_steps", self.chrono_steps, 2)
        elif self.chrono_steps is not None:
            raise OptionError("chrono_steps belongs to init='chrono'; leave it out")


@dataclass(frozen=True, init=False, repr=False)
class LSTM(Gated):
    """Long short-term memory layers (Hochreiter & Schmidhuber 1997; Gers et al. 2000), gates in the order i f g o.

    i, f, o = recurrent_activation(x W + h U + b), g = activation(x W + h U + b), c' = f c + i g, h' = o activation(c').
    The state is `(h, c)`, each of shape (num_layers * directions, B, hidden_size); `forget_bias` (default 1 with
    init="keras") is where the forget gate's bias begins. All other arguments and shapes are those of gw.RNN.

    peepholes: the gates see the cell state (Gers et al. 2002): i and f with c, o with c', times the parts i f o of P (3H,),
        which begin at zero.
    coupled: f = 1 - i (Greff et al. 2017; ONNX's input_forget). There is no block f in W, U, b and P, and it is the input
        gate's bias that begins at -forget_bias.
    projection: h' = (o activation(c')) V, with V (H, projection) (Sak et al. 2014; PyTorch's proj_size): so wide is the output
        of a direction, h is (num_layers * directions, B, projection), U (projection, 4H), and h0 (projection,).
    cell_activation: of c', where it is not `activation`.
    """

    forget_bias: float | None
    peepholes: bool
    coupled: bool
    projection: int | None
    cell_activation: Activation | tuple[Activation, Activation] | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        return_sequences: bool = True,
        return_state_sequence: bool = False,
        go_backwards: bool = False,
        masked_output: str = "zero",
        activation: ActivationsLike = "tanh",
        recurrent_activation: ActivationsLike = "sigmoid",
        cell_activation: ActivationsLike = None,
        peepholes: bool = False,
        coupled: bool = False,
        projection: int | None = None,
        clip: float | None = None,
        bias: bool = True,
        forget_bias: float | None = None,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        stateful: bool = False,
        learn_initial_state: bool = False,
        init: str = "keras",
        chrono_steps: int | None = None,
        kernel_initializer: str | None = None,
        recurrent_initializer: str | None = None,
        bias_initializer: str | None = None,
        trainable: bool = True,
    ) -> None:
        self._store(locals())
        self._check()

    def _check(self) -> None:
        super()._check()
        checks.true_or_false("peepholes", self.peepholes)
        checks.true_or_false("coupled", self.coupled)
        if self.projection is not None:
            checks.whole_number("projection", self.projection)
        if isinstance(self.cell_activation, list | tuple) and None in self.cell_activation:
            raise OptionError(f"cell_activation: got {self.cell_activation!r}, wanted two names: 'linear' for none")
        if self.cell_activation is not None:
            self._check_activation("cell_activation")
        if self.cell_activation == self.activation:
            object.__setattr__(self, "cell_activation", None)
        if self.forget_bias is not None and (not self.bias or self.initialization != "keras"):
            raise OptionError("forget_bias goes with bias=True and init='keras'; leave it out")
        if self.forget_bias is not None:
            checks.number("forget_bias", self.forget_bias)
        if self.forget_bias is None and self.bias and self.initialization == "keras":
            object.__setattr__(self, "forget_bias", 1.0)

    @property
    def varied(self) -> bool:
        """Whether it is more than the plain LSTM."""
        return self.peepholes or self.coupled or self.projection is not None or self.cell_activation is not None

    @property
    def cell(self) -> ModuleType:
        return cells.lstm_variants if self.varied else cells.lstm

    @property
    def gates(self) -> str:
        return cells.lstm_variants.COUPLED_GATES if self.coupled else super().gates

    @cached_property
    def sizes(self) -> Any:
        return self.cell.State(self.projection or self.hidden_size, self.hidden_size)

    def _extra_shapes(self) -> dict[str, Shape]:
        H = self.hidden_size
        P: dict[str, Shape] = {"P": ((len(self.gates) - 1) * H,)} if self.peepholes else {}
        return P | ({"V": (H, self.projection)} if self.projection else {})

    def _gate_biases(self, rng: np.random.Generator, b: Array) -> None:
        H, chrono = self.hidden_size, self.chrono_steps
        keep = self.forget_bias if chrono is None else initializers.chrono(rng, chrono, H)
        if keep is None:
            return
        if not self.coupled:
            b[H : 2 * H] = keep
        if self.coupled or chrono is not None:  # sigmoid(-keep) = 1 - sigmoid(keep)
            b[:H] = -keep

    @cached_property
    def options(self) -> Any:
        act, sigma = map(self._clipped, ACTIVATIONS[:2])
        out = self._clipped("cell_activation") if self.cell_activation else act
        return cells.lstm_variants.Options(act, sigma, out, self.coupled) if self.varied else cells.lstm.Options(act, sigma)


@dataclass(frozen=True, init=False, repr=False)
class GRU(Gated):
    """Gated recurrent unit layers (Cho et al. 2014), gates in the order z r n.

    z, r = recurrent_activation(x W + h U + b), n = activation(x W + b + r (h U + bn)), h' = z h + (1 - z) n.

    reset_after: the reset gate acts after the product with U (cuDNN, PyTorch, Keras' default), and that product has a bias of
    its own, `bn` (H,); False: before it, as in the paper. The state is `(h,)`, of shape (num_layers * directions, B,
    hidden_size). All other arguments and shapes are those of gw.RNN.
    """

    cell: ClassVar[ModuleType] = cells.gru
    reset_after: bool

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        return_sequences: bool = True,
        return_state_sequence: bool = False,
        go_backwards: bool = False,
        masked_output: str = "zero",
        activation: ActivationsLike = "tanh",
        recurrent_activation: ActivationsLike = "sigmoid",
        reset_after: bool = True,
        clip: float | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        stateful: bool = False,
        learn_initial_state: bool = False,
        init: str = "keras",
        chrono_steps: int | None = None,
        kernel_initializer: str | None = None,
        recurrent_initializer: str | None = None,
        bias_initializer: str | None = None,
        trainable: bool = True,
    ) -> None:
        self._store(locals())
        self._check()
        checks.true_or_false("reset_after", reset_after)

    def _bias_shapes(self) -> dict[str, Shape]:
        H = self.hidden_size
        return {"b": (3 * H,), "bn": (H,)} if self.reset_after else {"b": (3 * H,)}

    def _gate_biases(self, rng: np.random.Generator, b: Array) -> None:
        if self.chrono_steps is not None:  # z is the gate that keeps
            b[: self.hidden_size] = initializers.chrono(rng, self.chrono_steps, self.hidden_size)

    @cached_property
    def options(self) -> Any:
        act, sigma = map(self._clipped, ACTIVATIONS[:2])
        return cells.gru.Options(act, sigma, self.reset_after)
