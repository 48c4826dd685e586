"""Records what PyTorch's RNN, LSTM and GRU give, forward and backward, in float64: torch_layers.safetensors.

Run by hand in an environment with torch: `python tests/golden/record_torch_layers.py`. Every weight, state and outer
gradient is non-zero. A case is `kind_layers_directions_padding`; its arrays have the names `case/…`, weights and their
gradients (`case/d.…`) in PyTorch's own names and layout.
"""

import itertools
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

B, T, F, H, P = 3, 5, 2, 3, 2  # P: a projection
LENGTHS = [5, 2, 3]
SEED = 1  # one that leaves no tensor of any case without a gradient
KINDS = {
    "rnn_tanh": lambda **kw: torch.nn.RNN(F, H, nonlinearity="tanh", **kw),
    "rnn_relu": lambda **kw: torch.nn.RNN(F, H, nonlinearity="relu", **kw),
    "lstm": lambda **kw: torch.nn.LSTM(F, H, **kw),
    "gru": lambda **kw: torch.nn.GRU(F, H, **kw),
    "lstm_projection": lambda **kw: torch.nn.LSTM(F, H, proj_size=P, **kw),
}


def record(kind, layers, directions, packed, rng):
    """All arrays of one case."""

    def draw(*shape):
        return torch.tensor(rng.standard_normal(shape), requires_grad=True)

    net = KINDS[kind](num_layers=layers, bidirectional=directions == 2, batch_first=True).double()
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.tensor(0.6 * rng.standard_normal(p.shape)))
    x = draw(B, T, F)
    sizes = {"lstm": (H, H), "lstm_projection": (P, H)}.get(kind, (H,))
    state = tuple(draw(layers * directions, B, size) for size in sizes)
    handed = state if len(sizes) > 1 else state[0]
    if packed:
        sequence = torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
        y, final = net(sequence, handed)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=T)
    else:
        y, final = net(x, handed)
    final = final if len(sizes) > 1 else (final,)
    dy, dfinal = draw(*y.shape), [draw(*f.shape) for f in final]
    ((y * dy).sum() + sum((f * d).sum() for f, d in zip(final, dfinal, strict=True))).backward()
    arrays = {"x": x, "y": y, "dy": dy, "dx": x.grad}
    for name, s, f, d in zip("hc", state, final, dfinal, strict=False):
        arrays |= {f"{name}0": s, f"d.{name}0": s.grad, f"{name}n": f, f"d{name}n": d}
    for name, p in net.named_parameters():
        arrays |= {name: p, f"d.{name}": p.grad}
    assert all(a.detach().abs().max() > 0 for a in arrays.values())
    return {name: a.detach().numpy() for name, a in arrays.items()}


def main():
    arrays, cases = {}, []
    options = [(1, 1, False), *((layers, directions, True) for layers in (1, 2) for directions in (1, 2))]
    for (number, kind), (layers, directions, packed) in itertools.product(enumerate(KINDS), options):
        case = f"{kind}_{layers}_{directions}_{'packed' if packed else 'full'}"
        lengths = LENGTHS if packed else None
        cases.append({"case": case, "kind": kind, "layers": layers, "directions": directions, "lengths": lengths})
        found = record(kind, layers, directions, packed, np.random.default_rng([SEED, number, layers, directions, packed]))
        arrays |= {f"{case}/{name}": np.ascontiguousarray(array) for name, array in found.items()}
    about = {"framework": f"torch {torch.__version__}", "script": Path(__file__).name, "cases": json.dumps(cases)}
    save_file(arrays, Path(__file__).with_name("torch_layers.safetensors"), metadata=about)


if __name__ == "__main__":
    main()
