"""The experiments of Hochreiter & Schmidhuber (1997), with today's LSTM: python benchmarks/tasks/hochreiter_1997.py [TASK …]

How many sequences does an LSTM see until it has learned a task, by the criteria of "Long Short-Term Memory", Neural
Computation 9(8)? Printed are the median over seeds, the least and the most, beside the paper's mean, then how many of 2560
fresh sequences the network gets wrong, and the seconds. The tasks (hochreiter_tasks.py draws them), and when they count as
learned:

- reber (experiment 1, section 5.1): predict the next symbol of strings of the embedded Reber grammar, 256 to learn from,
  picked at random, and 256 others to test. Learned: at every step of all 512 strings each legal symbol's output is above that
  of each other symbol; looked up after every 64 strings. 8,440 strings is the best of the paper's five networks (all trials
  solved).
- adding-100, -500, -1000 (experiment 4, section 5.4): the sum of two marked numbers among 100 to 110 (500 to 550, 1000 to
  1100). A sequence is right where the output at its end errs by less than 0.04. Learned: the 2000 most recent sequences, each
  judged before it is learned from, are all right, and their mean error is below 0.01.
- multiplication (experiment 5, section 5.5): the product of two marked numbers among 100 to 110. Learned, in two degrees:
  fewer than 140, and fewer than 13, of the 2000 most recent sequences err by 0.04 or more.
- order-2, order-3 (experiments 6a and 6b, section 5.6): the order of two (three) X or Y among 100 to 110 symbols; 4 (8)
  classes. A sequence is right where every output errs by less than 0.3. Learned: the 2000 most recent sequences are all right,
  and their mean error is below 0.1.

Errors are absolute, and a sequence's is that of its worst output: of what the paper may mean by its mean error, what is
hardest.

What differs from the paper: the LSTM has forget gates (Gers et al. 2000) and begins with the biases of Tallec & Ollivier
(2018) for the longest lag (init="chrono"), where the paper lets input or output gates begin shut; gradients go back through
all of a sequence, where the paper cuts them off at the cells' inputs; Adam learns from two sequences at a time, with gradients
clipped to a norm of 1, where the paper learns from one, with a constant rate; here the rate falls in proportion to the mean
error of the 2000 most recent sequences, once that is below `knee` times what is still right (reber: it stays). The output is
linear for numbers, and softmax with cross-entropy for symbols, where the paper has logistic outputs and the squared error; the
network is larger, 4,513 to 5,512 weights instead of 93 to 308. The paper tells means of 10 trials (order-2: 20; reber: 30).
One set of settings serves all tasks; select_hochreiter_1997.py chose it, on other seeds than those here. The biases matter
most: with init="keras" the seeds 100 and 101 learned neither order-2 nor adding-100 nor adding-1000 in 60,000 sequences, only
reber.

Two minutes on one core.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import hochreiter_tasks as tasks
import numpy as np
import tables

import gatewright as gw
from gatewright.training.optimizers import clip_norm

RECENT, TEST = 2000, 2560
CLIP = 1.0
LOOK = 64  # strings of the Reber grammar from one look at all of them to the next
LIMIT = 500_000  # sequences after which a seed counts as failed
NOTE = (
    "Sequences until the task is solved by the paper's criterion; 1997: the paper's mean. Here: forget gates, chrono biases, "
    "Adam, small batches, more units, and what else the script's first lines tell."
)


@dataclass(frozen=True)
class Settings:
    """What all tasks are learned with."""

    hidden: int = 32
    batch: int = 2
    learning_rate: float = 0.01
    knee: float = 1.0  # the mean error below which the learning rate falls, in units of the error that is still right


class Stop(NamedTuple):
    """When a task counts as learned."""

    name: str
    paper: int  # sequences that the paper needs
    lag: int | None = None  # T, the least length
    wrong: int = 1  # fewer than so many of the most recent sequences are wrong
    error: float = math.inf  # and their mean error is below this


class Task(NamedTuple):
    """A task with one target a sequence."""

    draw: Callable[[np.random.Generator, int], tasks.Drawn]
    inputs: int
    outputs: int  # one for a number, else a class each
    right: float  # an error below this is right
    stops: tuple[Stop, ...]  # the hardest last


class Learned(NamedTuple):
    """How a seed went."""

    sequences: int | None  # until the task was learned; None: it was not
    wrong: int | None = None  # of TEST fresh sequences; None for the Reber grammar, whose test is part of the criterion
    error: float | None = None  # their mean error
    seconds: float = 0.0  # since the beginning


class Learner:
    """A model that learns batch by batch: Adam, the gradients clipped."""

    def __init__(self, layer: gw.LSTM, outputs: int, rate: float, seed: int) -> None:
        self.model = gw.Model(gw.Sequential(layer, gw.Dense(layer.hidden_size, outputs)), seed=seed)
        self.grads, self.adam = self.model.parameters.zeros_like(), gw.Adam(rate)
        self.memory = self.adam.init(self.model.parameters, "auto")

    def forward(self, x: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, Any]:
        """The output and what `backward` wants, for x (B, T, F)."""
        network, steps = self.model.network, gw.Steps(lengths=lengths)
        output, _, cache = network.forward(self.model.parameters, x, steps=steps, training=True)
        return output, cache

    def backward(self, cache: Any, doutput: np.ndarray, pace: float = 1.0) -> None:
        """One update, with `pace` times the learning rate; doutput: the loss's gradient, of the output's shape."""
        with self.grads.edit() as gradient:
            gradient.fill(0)
            self.model.network.finish(self.model.parameters, self.grads, cache, doutput)
            clip_norm(gradient, self.memory.segments, CLIP)
            with self.model.parameters.edit() as flat:
                self.adam.update(flat, gradient, self.memory, lambda rate: pace * rate)


class Recent:
    """The errors of the most recent sequences; infinite before there are so many."""

    def __init__(self) -> None:
        self.errors, self.seen = np.full(RECENT, np.inf), 0

    def add(self, errors: np.ndarray) -> None:
        """Puts the errors (B,) of a batch in the place of the oldest."""
        self.errors[(self.seen + np.arange(len(errors))) % RECENT] = errors
        self.seen += len(errors)

    def reached(self, stop: Stop, right: float) -> bool:
        """Whether the task counts as learned; an error below `right` is right."""
        return bool(np.sum(self.errors >= right) < stop.wrong and self.errors.mean() < stop.error)


def judged(task: Task, output: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(B,) the error of each sequence, that of its worst output, and (B, O) the gradient of the loss, for targets y (B, O)."""
    classes = task.outputs > 1
    wrong = gw.Activation("softmax" if classes else "linear").forward(output) - y
    # The gradient of cross-entropy after softmax, and that of the squared error.
    return np.abs(wrong).max(axis=1), (1 if classes else 2) * wrong / len(y)


def learn(task: Task, settings: Settings, seed: int, limit: int) -> Iterator[tuple[Stop, Learned]]:
    """Learns a task from fresh sequences; gives each of its stops, and how it was reached."""
    begin, left = time.perf_counter(), list(task.stops)
    rng, fresh = (np.random.default_rng([seed, part]) for part in (1, 2))
    lstm = gw.LSTM(task.inputs, settings.hidden, return_sequences=False, init="chrono", chrono_steps=left[0].lag)
    learner, recent = Learner(lstm, task.outputs, settings.learning_rate, seed), Recent()
    while left and recent.seen < limit:
        x, lengths, y = task.draw(rng, settings.batch)
        output, cache = learner.forward(x, lengths)
        errors, doutput = judged(task, output, y)
        recent.add(errors)
        while left and recent.reached(left[0], task.right):
            seconds = time.perf_counter() - begin
            new, lengths, wanted = task.draw(fresh, TEST)
            errors, _ = judged(task, learner.model.predict(new, lengths=lengths), wanted)
            yield left.pop(0), Learned(recent.seen, int(np.sum(errors >= task.right)), float(errors.mean()), seconds)
        learner.backward(cache, doutput, min(1.0, recent.errors.mean() / (settings.knee * task.right)))
    yield from ((stop, Learned(None, seconds=time.perf_counter() - begin)) for stop in left)


def predicted(output: np.ndarray, strings: tasks.Strings) -> np.ndarray:
    """(N,) bool: whether at every step each legal symbol's output (N, T, 7) is above that of each one that is not legal."""
    least = np.where(strings.legal, output, np.inf).min(axis=-1)
    most = np.where(strings.legal, -np.inf, output).max(axis=-1)
    return ((least > most) | ~strings.live).all(axis=1)


def learn_reber(settings: Settings, seed: int, limit: int) -> Iterator[tuple[Stop, Learned]]:
    """Learns the embedded Reber grammar from strings of its training set, picked at random."""
    begin, stop = time.perf_counter(), Stop("reber", 8_440)
    rng = np.random.default_rng([seed, 1])
    sets, loss, seen = tasks.reber_sets(rng), gw.losses.CrossEntropy(), 0
    lstm = gw.LSTM(len(tasks.LETTERS), settings.hidden, init="chrono", chrono_steps=int(sets[0].lengths.max()))
    learner = Learner(lstm, len(tasks.LETTERS), settings.learning_rate, seed)
    while seen < limit:
        for _ in range(LOOK // settings.batch):
            picked = sets[0].rows(rng.integers(len(sets[0].x), size=settings.batch))
            output, cache = learner.forward(picked.x, picked.lengths)
            _, doutput = loss(output, picked.y)
            learner.backward(cache, np.where(picked.live[..., None], doutput, 0) / np.float32(picked.lengths.sum()))
            seen += settings.batch
        if all(predicted(learner.model.predict(strings.x, lengths=strings.lengths), strings).all() for strings in sets):
            yield stop, Learned(seen, seconds=time.perf_counter() - begin)
            return
    yield stop, Learned(None, seconds=time.perf_counter() - begin)


def adding(least: int, paper: int) -> Task:
    """The adding problem with sequences of `least` to 1.1 `least` numbers."""
    return Task(partial(tasks.numbers, least=least), 2, 1, 0.04, (Stop(f"adding-{least}", paper, least, error=0.01),))


def multiplication(least: int, *degrees: tuple[int, int]) -> Task:
    """The multiplication problem; degrees: (fewer than so many are wrong, the paper's number)."""
    stops = tuple(Stop(f"multiplication-{wrong}", paper, least, wrong) for wrong, paper in degrees)
    return Task(partial(tasks.numbers, least=least, product=True), 2, 1, 0.04, stops)


def order(paper: int, *spots: tuple[int, int]) -> Task:
    """The temporal order of an X or Y at each of the spots."""
    stop = Stop(f"order-{len(spots)}", paper, 100, error=0.1)
    return Task(partial(tasks.temporal_order, spots=spots), len(tasks.SYMBOLS), 2 ** len(spots), 0.3, (stop,))


TASKS: dict[str, Callable[[Settings, int, int], Iterator[tuple[Stop, Learned]]]] = {
    "reber": learn_reber,
    "adding-100": partial(learn, adding(100, 74_000)),
    "adding-500": partial(learn, adding(500, 209_000)),
    "adding-1000": partial(learn, adding(1000, 853_000)),
    "multiplication": partial(learn, multiplication(100, (140, 482_000), (13, 1_273_000))),
    "order-2": partial(learn, order(31_390, (10, 20), (50, 60))),
    "order-3": partial(learn, order(571_100, (10, 20), (33, 43), (66, 76))),
}


def summary(stop: Stop, trials: Sequence[Learned]) -> dict[str, Any]:
    """A row of the table, with the numbers of every seed."""
    median = statistics.median(trial.sequences or math.inf for trial in trials)
    return {
        "task": stop.name, "T": stop.lag, "paper": stop.paper, "median": median if median < math.inf else None,
        "solved": sum(trial.sequences is not None for trial in trials), "sequences": [trial.sequences for trial in trials],
        "wrong": [trial.wrong for trial in trials],
        "mean error": [trial.error and round(trial.error, 5) for trial in trials],
        "seconds": [round(trial.seconds, 2) for trial in trials],
    }  # fmt: skip


def line(row: dict[str, Any]) -> list[str]:
    """A row of the table."""
    counts, wrong = ([count for count in row[name] if count is not None] for name in ("sequences", "wrong"))
    needed = f"{row['median']:,.0f} ({min(counts):,}–{max(counts):,})" if row["median"] else "—"
    fewer = f"{row['paper'] / row['median']:.0f} ×" if row["median"] else "—"
    solved, missed = f"{row['solved']}/{len(row['sequences'])}", f"{min(wrong)}–{max(wrong)}" if wrong else ""
    seconds = f"{statistics.median(row['seconds']):.1f}"
    return [row["task"], str(row["T"] or ""), needed, f"{row['paper']:,}", fewer, solved, missed, seconds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(TASKS)}; all without any")
    parser.add_argument("--seeds", type=int, default=5, help="how many (5)")
    parser.add_argument("--keep", action="store_true", help="write results/hochreiter_1997.json")
    args = parser.parse_args()
    if unknown := [name for name in args.tasks if name not in TASKS]:
        parser.error(f"unknown task {unknown[0]!r}; there are {', '.join(TASKS)}")
    if args.seeds < 1:
        parser.error("--seeds: wanted 1 or more")
    settings, seeds, rows = Settings(), list(range(args.seeds)), []
    for name in args.tasks or TASKS:
        trials = [list(TASKS[name](settings, seed, LIMIT)) for seed in seeds]
        for reached in zip(*trials, strict=True):
            rows.append(summary(reached[0][0], [learned for _, learned in reached]))
            print(f"{rows[-1]['task']}: {rows[-1]['sequences']}", flush=True)
    head = ("task", "T", "sequences: median (least–most)", "1997", "fewer", "solved", f"wrong of {TEST}", "s a seed")
    title = f"The experiments of Hochreiter & Schmidhuber 1997, {args.seeds} seeds"
    table = tables.Table("hochreiter_1997", title, head, [line(row) for row in rows], (NOTE,))
    tables.publish(table, args.keep, {"settings": asdict(settings), "seeds": seeds, "limit": LIMIT, "tasks": rows})


if __name__ == "__main__":
    tables.one_core()
    main()
