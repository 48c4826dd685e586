"""Records 20 steps of PyTorch's losses, optimizers, clipping, schedules and whole trainings: torch_training.safetensors.

Run by hand in an environment with torch: `python tests/golden/record_torch_training.py`. All in float64. A case's arrays
have the names `case/…`; what the case is (kind and options) stands in the metadata. In the trainings `bias_hh` is zero and
frozen, since a layer here has one bias; weights are in PyTorch's own names and layout.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch.nn import functional
from torch.optim import lr_scheduler

STEPS = 20
B, T, F, H, O = 4, 5, 2, 3, 3


def pinball(pred, target, levels):
    """No torch function has this: the mean of max(q e, (q - 1) e), with all columns of the first quantile first."""
    parts = pred.chunk(len(levels), dim=-1)
    errors = [(q, target - part) for q, part in zip(levels, parts, strict=True)]
    return torch.cat([torch.maximum(q * e, (q - 1) * e) for q, e in errors], dim=-1).mean()


def gaussian(pred, target):
    mean, log_variance = pred.chunk(2, dim=-1)
    return functional.gaussian_nll_loss(mean, target, log_variance.exp(), eps=1e-30)


def cross_entropy(pred, target, **options):
    return functional.cross_entropy(pred.reshape(-1, pred.shape[-1]), target.reshape(-1), **options)


# name: the loss, how many times as wide as the target the prediction is, the options under which we know it
LOSSES = {
    "mse": (functional.mse_loss, 1, {}),
    "mae": (functional.l1_loss, 1, {}),
    "huber": (functional.huber_loss, 1, {}),
    "huber_delta": (lambda p, y: functional.huber_loss(p, y, delta=0.3), 1, {"delta": 0.3}),
    "quantile": (lambda p, y: pinball(p, y, [0.5]), 1, {}),
    "quantile_several": (lambda p, y: pinball(p, y, [0.1, 0.5, 0.8]), 3, {"quantiles": [0.1, 0.5, 0.8]}),
    "cross_entropy": (cross_entropy, None, {}),
    "cross_entropy_smooth": (lambda p, y: cross_entropy(p, y, label_smoothing=0.2), None, {"label_smoothing": 0.2}),
    "binary_cross_entropy": (functional.binary_cross_entropy_with_logits, 1, {}),
    "gaussian_nll": (gaussian, 2, {}),
}
OPTIMIZERS = {
    "SGD": [{}, {"weight_decay": 0.1}, {"momentum": 0.9}, {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1},
            {"momentum": 0.8, "nesterov": True, "weight_decay": 0.05}],
    "RMSprop": [{}, {"alpha": 0.8, "eps": 1e-3}, {"momentum": 0.9}, {"centered": True, "weight_decay": 0.1},
                {"centered": True, "momentum": 0.5}],
    "Adam": [{}, {"betas": [0.8, 0.95], "eps": 1e-4}, {"weight_decay": 0.1}, {"amsgrad": True, "weight_decay": 0.05}],
    "AdamW": [{}, {"weight_decay": 0.2}, {"amsgrad": True, "betas": [0.5, 0.7]}],
}  # fmt: skip
# name: our options, and torch's scheduler; two base rates, as two parameter groups have
SCHEDULES = {
    "StepDecay": ({"every": 3, "factor": 0.5}, lambda o: lr_scheduler.StepLR(o, 3, 0.5)),
    "StepDecay_exponential": ({"every": 1, "factor": 0.9}, lambda o: lr_scheduler.ExponentialLR(o, 0.9)),
    "Cosine": ({"total": 20, "minimum": 0.01}, lambda o: lr_scheduler.CosineAnnealingLR(o, 20, 0.01)),
    "Warmup": ({"length": 6, "start": 0.2}, lambda o: lr_scheduler.LinearLR(o, 0.2, total_iters=6)),
    "Warmup_default": ({"length": 5}, lambda o: lr_scheduler.LinearLR(o)),
    "Warmup_then": (
        {"length": 5, "start": 0.1, "then": {"total": 15, "minimum": 0.001}},
        lambda o: lr_scheduler.SequentialLR(
            o, [lr_scheduler.LinearLR(o, 0.1, total_iters=5), lr_scheduler.CosineAnnealingLR(o, 15, 0.001)], [5]
        ),
    ),
    "ReduceOnPlateau": ({"patience": 2, "factor": 0.5}, lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=2)),
    "ReduceOnPlateau_max": (
        {"patience": 1, "factor": 0.3, "mode": "max", "threshold": 0.05, "cooldown": 2, "minimum": 0.02},
        lambda o: lr_scheduler.ReduceLROnPlateau(o, "max", 0.3, 1, threshold=0.05, cooldown=2, min_lr=0.02),
    ),
    "ReduceOnPlateau_rising": (
        {"patience": 1, "factor": 0.9, "cooldown": 3},
        lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.9, patience=1, cooldown=3),
    ),
}
TRAININGS = [
    (kind, layers, loss, clip)
    for kind in ("rnn", "lstm", "gru")
    for layers, loss, clip in ((1, "mse", {"norm": 0.3}), (2, "cross_entropy", {"value": 0.02}))
]


def loss_case(name, rng):
    """Adam on the prediction itself: the trace of the loss, the first gradient and where the prediction ends."""
    function, width, options = LOSSES[name]
    target = torch.tensor(rng.integers(0, O, (B, T)) if width is None else rng.random((B, T, O)))
    start = rng.standard_normal((B, T, O * (width or 1)))
    pred = torch.tensor(start, requires_grad=True)
    optimizer = torch.optim.Adam([pred], lr=0.1)
    values = []
    for step in range(STEPS):
        optimizer.zero_grad()
        value = function(pred, target)
        value.backward()
        if step == 0:
            first = pred.grad.clone()
        values.append(value.item())
        optimizer.step()
    known = next(n for n in sorted(LOSSES, key=len) if name.startswith(n))
    about = {"what": "loss", "loss": known, "options": options}
    return about, {"start": start, "target": target, "values": np.array(values), "gradient": first, "end": pred}


def optimizer_case(name, options, rng, groups=None):
    """Given gradients in, every step's parameters (STEPS, 14) out; W (3, 2), b (4,) and a second W and b of one number each.

    `groups` are options by name; a learning rate of None is a frozen name.
    """
    shapes = {"0.W": (3, 2), "0.b": (4,), "1.W": (3,), "1.b": (1,)}
    start = {n: rng.standard_normal(s) for n, s in shapes.items()}
    params = {n: torch.tensor(a, requires_grad=True) for n, a in start.items()}
    frozen = [n for n, own in (groups or {}).items() if own is None]
    split = [{"params": [p], **((groups or {}).get(n) or {})} for n, p in params.items() if n not in frozen]
    optimizer = getattr(torch.optim, name)(split, lr=0.05, **options)
    gradients = rng.standard_normal((STEPS, 14))
    trace = []
    for step in range(STEPS):
        parts = np.split(gradients[step], np.cumsum([p.numel() for p in params.values()])[:-1])
        for (_, p), part in zip(params.items(), parts, strict=True):
            p.grad = torch.tensor(part.reshape(p.shape))
        optimizer.step()
        trace.append(np.concatenate([p.detach().numpy().ravel() for p in params.values()]))
    about = {"what": "optimizer", "optimizer": name, "options": options, "groups": groups}
    return about, start | {"gradients": gradients, "trace": np.array(trace)}


def clip_case(limit, rng):
    """Gradients of very different sizes, clipped by norm and by value."""
    gradients = rng.standard_normal((STEPS, 10)) * np.logspace(-3, 2, STEPS)[:, None]
    norms, by_norm, by_value = [], [], []
    for gradient in gradients:
        params = [torch.zeros(4, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.float64)]
        for kind, found in (("norm", by_norm), ("value", by_value)):
            params[0].grad = torch.tensor(gradient[:4])
            params[1].grad = torch.tensor(gradient[4:].reshape(2, 3))
            if kind == "norm":
                norms.append(torch.nn.utils.clip_grad_norm_(params, limit).item())
            else:
                torch.nn.utils.clip_grad_value_(params, limit)
            found.append(np.concatenate([p.grad.numpy().ravel() for p in params]))
    arrays = {"gradients": gradients, "norms": norms, "by_norm": by_norm, "by_value": by_value}
    return {"what": "clip", "limit": limit}, {n: np.array(a) for n, a in arrays.items()}


def schedule_case(name, rng):
    """The learning rates of STEPS epochs (STEPS, 2), for two base rates."""
    options, build = SCHEDULES[name]
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in (0.1, 0.03)]
    optimizer = torch.optim.SGD(groups)
    scheduler = build(optimizer)
    monitored = np.abs(rng.standard_normal(STEPS)) + 0.1
    if name.endswith("_rising"):
        monitored.sort()
    rates = []
    for value in monitored:
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step(*([value] if name.startswith("ReduceOnPlateau") else []))
    about = {"what": "schedule", "schedule": name.partition("_")[0], "options": options}
    return about, {"monitored": monitored, "rates": np.array(rates)}


class Net(torch.nn.Module):
    """A recurrent layer and a linear one, bias_hh zero and frozen."""

    def __init__(self, kind, layers, rng):
        super().__init__()
        self.recurrent = getattr(torch.nn, kind.upper())(F, H, layers, batch_first=True)
        self.linear = torch.nn.Linear(H, O)
        with torch.no_grad():
            for name, p in self.named_parameters():
                p.copy_(torch.tensor(0.6 * rng.standard_normal(p.shape)))
                if "bias_hh" in name:
                    p.zero_()
                    p.requires_grad_(False)

    def forward(self, x):
        return self.linear(self.recurrent(x)[0])


def training_case(kind, layers, loss, clip, rng):
    """A whole training with Adam: the losses, the norms before clipping, the weights before and after."""
    net = Net(kind, layers, rng).double()
    before = {f"before.{n.partition('.')[2]}": p.detach().clone() for n, p in net.named_parameters()}
    x = torch.tensor(rng.standard_normal((B, T, F)))
    y = torch.tensor(rng.integers(0, O, (B, T)) if loss == "cross_entropy" else rng.standard_normal((B, T, O)))
    trained = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=0.02)
    values, norms = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        value = LOSSES[loss][0](net(x), y)
        value.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(trained, clip.get("norm", 1e9)).item())
        if "value" in clip:
            torch.nn.utils.clip_grad_value_(trained, clip["value"])
        optimizer.step()
        values.append(value.item())
    after = {f"after.{n.partition('.')[2]}": p for n, p in net.named_parameters()}
    arrays = {"x": x, "y": y, "values": np.array(values), "norms": np.array(norms)}
    return {"what": "training", "kind": kind, "layers": layers, "loss": loss, "clip": clip}, before | after | arrays


def cases(rng):
    """(name, what it is, its arrays) of every case."""
    for name in LOSSES:
        yield f"loss_{name}", *loss_case(name, rng)
    for name, choices in OPTIMIZERS.items():
        for number, options in enumerate(choices):
            yield f"optimizer_{name}_{number}", *optimizer_case(name, options, rng)
        groups = {"0.b": {"weight_decay": 0.0}, "1.W": {"lr": 0.2, "weight_decay": 0.3}, "1.b": None}
        yield f"optimizer_{name}_groups", *optimizer_case(name, {"weight_decay": 0.1}, rng, groups)
    yield "clip", *clip_case(1.5, rng)
    for name in SCHEDULES:
        yield f"schedule_{name}", *schedule_case(name, rng)
    for kind, layers, loss, clip in TRAININGS:
        yield f"training_{kind}_{layers}", *training_case(kind, layers, loss, clip, rng)


def main():
    arrays, abouts = {}, []
    for case, about, found in cases(np.random.default_rng(7)):
        abouts.append({"case": case} | about)
        for name, array in found.items():
            array = array.detach().numpy() if isinstance(array, torch.Tensor) else array
            arrays[f"{case}/{name}"] = np.ascontiguousarray(array)
    metadata = {"cases": json.dumps(abouts), "framework": "torch", "version": torch.__version__, "script": Path(__file__).name}
    save_file(arrays, Path(__file__).with_name("torch_training.safetensors"), metadata)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
