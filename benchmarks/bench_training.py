"""A whole training step as `fit` does it, against PyTorch: python benchmarks/bench_training.py training …

Forward, loss, backward, clipping and Adam, on the same batches. Both begin with the same weights; loss and gradients agree
before anything is timed.
"""

import numpy as np
import rivals
import session
import torch
import workloads
from timing import interleaved

import gatewright as gw
from gatewright.interop import pytorch

NAMES = ["recurrent", "out"]
CLOSE_ENOUGH = 1e-4  # relative to the largest gradient of a tensor


class Net(torch.nn.Module):
    """A recurrent network and a linear head for every step."""

    def __init__(self, work: workloads.Training) -> None:
        super().__init__()
        kind = getattr(torch.nn, work.kind)
        self.recurrent = kind(work.features, work.hidden, work.layers, batch_first=True)
        self.out = torch.nn.Linear(work.hidden, work.outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.recurrent(x)[0])


class Task:
    """One network twice, and some batches; `ours` and `theirs` train an epoch, one step a batch."""

    def __init__(self, work: workloads.Training, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        rng = np.random.default_rng(0)
        self.work, self.batches = work, max(2, 1024 // work.hidden // work.layers)
        rows = self.batches * work.batch
        self.x = rng.standard_normal((rows, work.steps, work.features)).astype(np.float32)
        self.classes = work.outputs > 1
        self.y = rng.integers(0, work.outputs, (rows, work.steps)) if self.classes else self.x.mean(axis=2, keepdims=True)
        self.tensors = torch.from_numpy(self.x), torch.from_numpy(self.y)
        self.loss = "cross_entropy" if self.classes else "mse"
        self.net = Net(work)
        self.optimizer = torch.optim.Adam(self.net.parameters(), 1e-3)
        self.model = gw.from_pytorch(rivals.arrays(self.net), layers=NAMES)

    def ours(self) -> None:
        self.model.fit(
            self.x, self.y, loss=self.loss, optimizer=gw.Adam(1e-3), batch_size=self.work.batch, clip_norm=1.0,
            shuffle=False, verbose=False,
        )  # fmt: skip

    def theirs(self) -> None:
        for start in range(0, len(self.x), self.work.batch):
            self.optimizer.zero_grad()
            self.their_loss(slice(start, start + self.work.batch)).backward()
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            self.optimizer.step()

    def their_loss(self, rows: slice) -> torch.Tensor:
        x, y = (tensor[rows] for tensor in self.tensors)
        if not self.classes:
            return torch.nn.functional.mse_loss(self.net(x), y)
        return torch.nn.functional.cross_entropy(self.net(x).flatten(0, 1), y.flatten())

    def agree(self) -> None:
        """Ends the program unless loss and gradients are the same."""
        rows = slice(0, self.work.batch)
        loss, gradients = self.model.gradients(self.x[rows], self.y[rows], self.loss)
        wanted = self.their_loss(rows)
        wanted.backward()
        ours = pytorch.write(self.model.layer, gradients, NAMES)
        gaps = {"loss": abs(loss - wanted.item()) / wanted.item()}
        for name, tensor in self.net.named_parameters():
            if "bias_hh" not in name:  # of two biases one is left here
                theirs = tensor.grad.numpy()
                gaps[name] = np.abs(ours[name] - theirs).max() / np.abs(theirs).max()
        worst = max(gaps, key=lambda name: gaps[name])
        if not gaps[worst] < CLOSE_ENOUGH:
            raise SystemExit(f"{self.work.name}: {worst} differs from PyTorch's by {gaps[worst]:.1e}")


def main() -> None:
    now = session.begin(["training"])
    cells = []
    for work, bars in workloads.TRAINING.items():
        if now.wants(work.name):
            task = Task(work, now.threads)
            task.agree()
            times = interleaved({"gatewright": task.ours, "pytorch": task.theirs}, now.pace)
            steps = {who: [seconds / task.batches for seconds in numbers] for who, numbers in times.items()}
            cells.append(session.cell(work.name, steps, bars, work=work._asdict()))
    session.finish(now, cells, means=session.means(cells, workloads.TRAINING_MEANS) if cells else [])


if __name__ == "__main__":
    main()
