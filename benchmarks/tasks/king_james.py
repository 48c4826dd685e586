"""The King James Bible, character by character, beside PyTorch and PPMd: python benchmarks/tasks/king_james.py

The text is the verses that `bible -f Gen1:1-Rev22:21` prints (Debian's package bible-kjv), a line each: 4.1 million characters;
--labels: with the label before every verse, such as Ge1:1, as the program prints it. The
test part's books come nowhere else, so that nobody can guess their names. The first 90 % are learned from, the next 5 % say
which weights are best, and the last 5 % are the test: bits a character of an LSTM with 256 units. Before that, both
libraries learn the same stretches from the same weights on one core, taking turns; their losses must agree, and their
characters a second are compared. PPMd, a compressor, reads the first 90 % and then the test. About ten minutes on one core.
"""

import argparse
import dataclasses
import re
import statistics
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import tables

import gatewright as gw
from gatewright.text.lesson import CLIP, Status, stretches
from gatewright.text.model import TextModel
from gatewright.text.settings import TextSettings
from gatewright.text.vocabulary import Vocabulary

TRAIN, TEST = 0.9, 0.05  # shares of the text
BAR_BITS, BAR_SPEED = 1.78, 1.1
TURNS = 5

Learn = Callable[[np.ndarray, np.ndarray], float]  # (x, y), both (B, T): one update a window; the mean loss in nats


def bible(labels: bool = False) -> str:
    """The text; labels: with the label before every verse."""
    try:
        run = subprocess.run(["bible", "-f", "Gen1:1-Rev22:21"], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    except FileNotFoundError:
        raise SystemExit("this wants the program `bible`: apt-get install bible-kjv") from None
    printed = run.stdout.decode()
    return printed if labels else re.sub(r"(?m)^\S+ ", "", printed)


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


def ppmd(learn: str, test: str) -> float | None:
    """Bits a character of the test after what was learned from, by PPMd of order 6, as 7-Zip has it; None: no pyppmd."""
    try:
        import pyppmd
    except ImportError:
        return None

    def bits(text: str) -> int:
        encoder = pyppmd.Ppmd7Encoder(6, 16 << 20)
        return 8 * (len(encoder.encode(text.encode())) + len(encoder.flush()))

    return (bits(learn + test) - bits(learn)) / len(test)


def race_rows(text: str, settings: TextSettings) -> list[list[str]]:
    """The rows of the table that the race gives."""
    pairs = race(text[: len(text) // 2], settings)
    ratios = sorted(ours / theirs for ours, theirs in pairs)
    ours, theirs = (statistics.median(speeds) for speeds in zip(*pairs, strict=True))
    reached = f"× {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f} in {TURNS} turns)"
    speeds = f"{ours:,.0f} against {theirs:,.0f}"
    return [[f"characters a second, against PyTorch {version('torch')}", f"≥ × {BAR_SPEED}", f"{reached}: {speeds}"]]


def learn_rows(text: str, settings: TextSettings, labels: bool) -> list[list[str]]:
    """The rows of the table that a training gives."""
    begin = time.perf_counter()
    cut = len(text) - round(TEST * len(text))
    seen: list[int] = []
    model = TextModel.train(text[:cut], settings, lambda status: told(seen, status))
    test, minutes = text[cut:], (time.perf_counter() - begin) / 60
    bits = model.bits(test)
    rows = [[f"bits a character of the last {len(test):,}", f"≤ {BAR_BITS}", f"{bits.mean():.3f} after {minutes:.1f} minutes"]]
    if labels:
        label = np.zeros(len(test), bool)
        for found in re.finditer(r"(?m)^\S+ ", test):
            label[found.start() : found.end()] = True
        rows += [["of its verses", "", f"{bits[~label].mean():.3f}"], ["of their labels", "", f"{bits[label].mean():.3f}"]]
    packed = ppmd(text[: round(TRAIN * len(text))], test)
    return rows if packed is None else [*rows, ["the same by PPMd, order 6", "", f"{packed:.3f}"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", action="store_true", help="the text with the labels of the verses")
    parser.add_argument("--short", action="store_true", help="a twentieth of the text, one epoch: half a minute")
    parser.add_argument("--race", action="store_true", help="the race alone")
    parser.add_argument("--no-race", action="store_true", help="the training alone")
    parser.add_argument("--keep", action="store_true", help="write results/king_james.json")
    args = parser.parse_args()
    text, settings = bible(args.labels), TextSettings(held_out=1 - TRAIN / (1 - TEST))
    rows = [] if args.no_race else race_rows(text, settings)
    if args.short:
        text, settings = text[: len(text) // 20], dataclasses.replace(settings, epochs=1)
    rows = rows if args.race else [*learn_rows(text, settings, args.labels), *rows]
    title = f"The King James Bible, {'with labels' if args.labels else 'its verses'}: LSTM 256"
    tables.publish(tables.Table("king_james", title, ("what", "bar", "reached"), rows), args.keep)


if __name__ == "__main__":
    tables.one_core()
    main()
