"""Records what torch.save writes: torch_files.safetensors.

Run by hand in an environment with torch: `python tests/golden/record_torch_files.py`. A case is one file, its bytes under
`case/file`, and the tensors in it by their names under `case/net.…`, in float64; the names in dicts in dicts are joined by
dots. A case without tensors is a file that has to be refused.
"""

import io
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn

F, H = 2, 3


def module(kind=nn.LSTM, seed=0, **options):
    """An nn.LSTM, nn.GRU or nn.RNN of random weights."""
    net, rng = kind(F, H, **options), np.random.default_rng(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.tensor(rng.standard_normal(p.shape)))
    return net


def views():
    """A state dict of nn.LSTM whose tensors lie in each other: transposed, with gaps, in one storage, and one twice."""
    given = module(num_layers=2).state_dict()
    one = torch.cat([a.flatten() for a in given.values()])
    wide = torch.zeros(4 * H, 3 * H)
    wide[:, ::3] = given["weight_hh_l0"]
    found = {
        "weight_ih_l0": one[: 4 * H * F].view(4 * H, F),
        "weight_hh_l0": wide[:, ::3],
        "bias_ih_l0": wide[:, 0],
        "bias_hh_l0": one[5 : 5 + 4 * H],
        "weight_ih_l1": given["weight_ih_l1"].T.contiguous().T,
        "weight_hh_l1": given["weight_hh_l1"],
        "bias_ih_l1": given["bias_ih_l1"],
        "bias_hh_l1": given["bias_ih_l1"],
    }
    assert not found["weight_hh_l0"].is_contiguous()
    assert not found["weight_ih_l1"].is_contiguous()
    return found


def checkpoint():
    """As training programs write it: the state dicts of the network and of the optimizer, the epoch, the loss, a history."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.LayerNorm(F), nn.Linear(F, 1))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, F)).sum().backward()
    optimizer.step()
    with torch.no_grad():  # the same numbers on every machine
        for p in net.parameters():
            p.copy_(torch.arange(p.numel()).view(p.shape) + 1.0)
        for number in (number for kept in optimizer.state.values() for number in kept.values()):
            number.fill_(1)
    return {
        "epoch": 70_000,
        "best": None,
        "model_state_dict": net.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "loss": 0.25,
        "history": [(1, -2.0), (2, 0.5)],
        "step": -3,
        "seed": 1 << 40,
    }


CASES = {
    **{f"lstm_{str(d)[6:]}": lambda d=d: module().to(d).state_dict() for d in (torch.float32, torch.float64, torch.float16)},
    "gru_bfloat16": lambda: module(nn.GRU, 1).to(torch.bfloat16).state_dict(),
    "rnn_two_ways": lambda: module(nn.RNN, 2, num_layers=2, bidirectional=True).state_dict(),
    "parameters": lambda: dict(module(nn.GRU, 3).named_parameters()),
    "views": views,
    "checkpoint": checkpoint,
    "integers": lambda: {"weight": torch.ones(2, 2), "steps": torch.arange(3), "seen": torch.tensor([True, False])},
    "module": module,
    "tensor": lambda: torch.ones(2),
    "list": lambda: [torch.ones(2), 3],
    "expanded": lambda: {"weight": torch.ones(1).expand(1 << 20, 1 << 20)},
    "sparse": lambda: {"weight": torch.ones(2, 2).to_sparse()},
    "complex": lambda: {"weight": torch.ones(2, 2, dtype=torch.complex64)},
    "conjugate": lambda: {"weight": torch.ones(2, dtype=torch.complex64).conj().imag},
    "float8": lambda: {"weight": torch.ones(2, 2).to(torch.float8_e4m3fn)},
    "quantized": lambda: {"weight": torch.ones(2, dtype=torch.int8), "dtype": torch.qint8},
    "numbered": lambda: {0: torch.ones(2)},
}


def tensors(found, start=""):
    """{name: tensor} of dicts in dicts."""
    names = {}
    for key, value in found.items() if isinstance(found, dict) else ():
        if isinstance(value, dict):
            names |= tensors(value, f"{start}{key}.")
        elif isinstance(value, torch.Tensor) and value.dtype.is_floating_point and value.layout == torch.strided:
            names |= {start + str(key): value} if value.numel() < 100 else {}
    return names


def main():
    arrays = {}
    for case, make in CASES.items():
        value, file = make(), io.BytesIO()
        torch.save(value, file)
        arrays[f"{case}/file"] = np.frombuffer(file.getvalue(), np.uint8)
        for name, tensor in tensors(value).items():
            arrays[f"{case}/net.{name}"] = np.ascontiguousarray(tensor.detach().double().numpy())
    about = {"framework": f"torch {torch.__version__}", "script": Path(__file__).name}
    cases = json.dumps([{"case": case} for case in CASES])
    save_file(arrays, Path(__file__).with_name("torch_files.safetensors"), metadata=about | {"cases": cases})


if __name__ == "__main__":
    main()
