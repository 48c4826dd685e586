"""The King James Bible, character by character, beside PyTorch: python benchmarks/tasks/king_james.py [--short]

The text is what `bible -f Gen1:1-Rev22:21` prints (Debian's package bible-kjv): 4.4 million characters, a verse a line after a
label such as Ge1:1. The first 90 % are learned from, the next 5 % say which weights are best, and the last 5 % are the test:
bits a character of an LSTM with 256 units. Before that, both libraries learn the same stretches from the same weights on one
core, taking turns; their losses must agree, and their characters a second are compared. About ten minutes; --short: half a
minute.
"""

import argparse
import dataclasses
import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

import gatewright as gw
from gatewright.text.lesson import CLIP, Status, stretches
from gatewright.text.model import TextModel
from gatewright.text.settings import TextSettings
from gatewright.text.vocabulary import Vocabulary

TRAIN, TEST = 0.9, 0.05  # shares of the text
BAR_BITS, BAR_SPEED = 1.78, 1.1
TURNS = 5

Learn = Callable[[np.ndarray, np.ndarray], float]  # (x, y), both (B, T): one update a window; the mean loss in nats


def bible() -> str:
    """The text."""
    try:
        run = subprocess.run(["bible", "-f", "Gen1:1-Rev22:21"], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    except FileNotFoundError:
        raise SystemExit("this wants the program `bible`: apt-get install bible-kjv") from None
    return run.stdout.decode()


def torch_learner(model: gw.Model, settings: TextSettings) -> Learn:
    """Learns as `fit` does, in PyTorch, time first, from the weights of `model`, which may learn on."""
    import torch

    torch.set_num_threads(1)
    embedding, _, dense = model.network.children.values()
    parts = torch.nn.Embedding(embedding.count, embedding.size), torch.nn.LSTM(embedding.size, settings.hidden)
    net = torch.nn.Sequential(*parts, torch.nn.Linear(settings.hidden, dense.output_size))
    net.load_state_dict({name: torch.tensor(array) for name, array in model.to_pytorch().items()})
    loss_of = torch.nn.CrossEntropyLoss()

    def learn(x: np.ndarray, y: np.ndarray) -> float:
        optimizer, state, losses = torch.optim.Adam(net.parameters(), settings.learning_rate), None, []
        inputs, targets = (torch.from_numpy(np.ascontiguousarray(array.T)).long() for array in (x, y))
        for start in range(0, len(inputs), settings.window):
            part = slice(start, start + settings.window)
            h, state = net[1](net[0](inputs[part]), state)
            loss = loss_of(net[2](h).flatten(0, 1), targets[part].flatten())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
            optimizer.step()
            state = tuple(array.detach() for array in state)
            losses.append(loss.item())
        return float(np.mean(losses))

    return learn


def our_learner(model: gw.Model, settings: TextSettings) -> Learn:
    """Learns as a text model does."""

    def learn(x: np.ndarray, y: np.ndarray) -> float:
        history = model.fit(
            x, y, loss="cross_entropy", optimizer=gw.Adam(settings.learning_rate), batch_size=len(x), tbptt=settings.window,
            clip_norm=CLIP, shuffle=False, verbose=False,
        )  # fmt: skip
        return history.loss[0]

    return learn


def race(text: str, settings: TextSettings) -> list[tuple[float, float]]:
    """Characters a second of (gatewright, PyTorch), a pair a turn; each turn is a batch of stretches."""
    vocabulary = Vocabulary.of(text, "char", 1)
    x, y = stretches(vocabulary.encode(text, "text"), settings)
    model = gw.Model(settings.network(vocabulary.size), seed=0, threads=1)
    learners, pairs = (our_learner(model, settings), torch_learner(model, settings)), []
    first = [learn(x[: settings.batch, : settings.window], y[: settings.batch, : settings.window]) for learn in learners]
    assert abs(first[0] - first[1]) < 1e-4, f"they aren't the same network: losses {first}"
    for turn in range(TURNS):
        rows = slice(turn * settings.batch, (turn + 1) * settings.batch)
        pair, losses = [0.0, 0.0], [0.0, 0.0]
        for who in (0, 1) if turn % 2 else (1, 0):
            begin = time.perf_counter()
            losses[who] = learners[who](x[rows], y[rows])
            pair[who] = x[rows].size / (time.perf_counter() - begin)
        # PyTorch trains two biases where one would do, so that they drift apart a little.
        assert abs(losses[0] - losses[1]) < 0.1, f"they don't learn the same: losses {losses}"
        pairs.append((pair[0], pair[1]))
    return pairs


def told(seen: list[int], status: Status) -> bool:
    """Prints every epoch."""
    if len(status.scores) > len(seen):
        seen.append(status.symbols)
        done = f"{status.symbols:,} characters, {status.seconds:.0f} s, {status.symbols / status.seconds:,.0f} a second"
        print(f"epoch {status.epoch}: {status.scores[-1]:.4f} bits a character of the 5 % for validation; {done}", flush=True)
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="a twentieth of the text, one epoch")
    parser.add_argument("--race", action="store_true", help="the race alone")
    args = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    text, settings = bible(), TextSettings(held_out=1 - TRAIN / (1 - TEST))
    pairs = race(text[: len(text) // 2], settings)
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    ours, theirs = (statistics.median(speeds) for speeds in zip(*pairs, strict=True))
    spread = f"{min(a / b for a, b in pairs):.2f} to {max(a / b for a, b in pairs):.2f}"
    print(f"characters a second: gatewright {ours:,.0f}, PyTorch {version('torch')} {theirs:,.0f}")
    print(f"ratio: {ratio:.2f} ({spread} over {TURNS} turns); the bar is {BAR_SPEED}", flush=True)
    if args.race:
        return
    if args.short:
        text, settings = text[: len(text) // 20], dataclasses.replace(settings, epochs=1)
    cut = len(text) - round(TEST * len(text))
    seen: list[int] = []
    model = TextModel.train(text[:cut], settings, lambda status: told(seen, status))
    test = text[cut:]
    bits, label = model.bits(test), np.zeros(len(test), bool)
    for found in re.finditer(r"(?m)^\S+ ", test):
        label[found.start() : found.end()] = True
    print(f"test: {bits.mean():.4f} bits a character of the last {len(test):,}; the bar is {BAR_BITS}")
    print(
        f"of its verses {bits[~label].mean():.4f}, of their labels (the last books' were never seen) {bits[label].mean():.4f}"
    )


if __name__ == "__main__":
    main()
