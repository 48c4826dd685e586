"""JapaneseVowels: nine speakers, 270 utterances to learn from, 370 to test: python benchmarks/tasks/japanese_vowels.py

Prints accuracy on the test part, its mean and spread over five seeds, and the time of a fit, beside two methods that need no
network: nearest neighbour under dynamic time warping, and logistic regression on summaries of each channel. The defaults were
chosen by select_classifier.py, without the test part. Where PyTorch is installed, it learns the default network in the same
way. Two minutes on one core.
"""

import argparse
import time
from collections.abc import Callable
from importlib.util import find_spec

import archive
import numpy as np
import tables
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gatewright as gw
from gatewright.steps import ragged

SEEDS = range(5)
EPOCHS = 100  # the default, which PyTorch is given too
BARS = {"gw.SequenceClassifier()": "≥ 0.97, a fit < 6 s", "bidirectional GRU": "≥ 0.98"}
NETWORKS = {
    "gw.SequenceClassifier()": {},
    "bidirectional GRU": {"cell": "gru", "bidirectional": True},
    "GRU": {"cell": "gru", "bidirectional": False},
    "LSTM": {"cell": "lstm", "bidirectional": False},
    "bidirectional LSTM": {"cell": "lstm", "bidirectional": True},
}
Fit = Callable[[list[np.ndarray], np.ndarray], Callable[[list[np.ndarray]], np.ndarray]]  # sequences, labels -> a predictor


def network(options: dict, seed: int) -> Fit:
    """A SequenceClassifier with these options."""
    return lambda x, y: gw.SequenceClassifier(**options, threads=1, random_state=seed).fit(x, y).predict


def summaries(x: list[np.ndarray]) -> np.ndarray:
    """(n, 6 F): mean, standard deviation, least, largest, first and last number of each channel."""
    return np.array([np.concatenate([f(0) for f in (s.mean, s.std, s.min, s.max)] + [s[0], s[-1]]) for s in x])


def logistic(x: list[np.ndarray], y: np.ndarray) -> Callable[[list[np.ndarray]], np.ndarray]:
    """Logistic regression on the standardised summaries."""
    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(summaries(x), y)
    return lambda new: fitted.predict(summaries(new))


def warped(x: list[np.ndarray], y: np.ndarray) -> Callable[[list[np.ndarray]], np.ndarray]:
    """The label of the nearest neighbour under dynamic time warping, of squared distances over all channels."""
    known, lengths = ragged(x)

    def label(sequence: np.ndarray) -> str:
        apart = np.square(known[:, :, None] - sequence).sum(axis=-1)  # (n, T, time)
        cost = np.full((len(known), known.shape[1] + 1, len(sequence) + 1), np.inf)
        cost[:, 0, 0] = 0
        for i in range(known.shape[1]):
            for j in range(len(sequence)):
                before = np.minimum(np.minimum(cost[:, i, j], cost[:, i, j + 1]), cost[:, i + 1, j])
                cost[:, i + 1, j + 1] = apart[:, i, j] + before
        return y[cost[np.arange(len(known)), lengths, -1].argmin()]

    return lambda new: np.array([label(sequence) for sequence in new])


def torch_network(seed: int) -> Fit:
    """What gw.SequenceClassifier() is and does, in PyTorch."""
    import torch

    class Network(torch.nn.Module):
        def __init__(self, features: int, classes: int) -> None:
            super().__init__()
            self.gru = torch.nn.GRU(features, 64, batch_first=True, bidirectional=True)
            self.dense = torch.nn.Linear(128, classes)

        def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            y, _ = torch.nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True, padding_value=-torch.inf)
            return self.dense(y.amax(1))

    def fit(x: list[np.ndarray], y: np.ndarray) -> Callable[[list[np.ndarray]], np.ndarray]:
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        classes, labels = np.unique(y, return_inverse=True)
        steps = np.concatenate(x)
        mean, scale = steps.mean(0), steps.std(0)

        def tensors(sequences: list[np.ndarray]) -> list[torch.Tensor]:
            padded, lengths = ragged([(s - mean) / scale for s in sequences])
            return [torch.from_numpy(padded.astype(np.float32)), torch.from_numpy(lengths)]

        data = torch.utils.data.TensorDataset(*tensors(x), torch.from_numpy(labels))
        batches = torch.utils.data.DataLoader(data, batch_size=8, shuffle=True)
        net = Network(x[0].shape[1], len(classes))
        optimizer = torch.optim.Adam(net.parameters(), 0.01)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
        for _ in range(EPOCHS):
            for sequences, lengths, targets in batches:
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(net(sequences, lengths), targets).backward()
                torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimizer.step()
            schedule.step()
        net.eval()

        def predict(new: list[np.ndarray]) -> np.ndarray:
            with torch.no_grad():
                return classes[net(*tensors(new)).argmax(1).numpy()]

        return predict

    return fit


def measure(name: str, fits: list[Fit]) -> list[str]:
    """A row of the table: accuracy, and seconds of a fit, by the clock, and of all predictions."""
    x, y = archive.read("JapaneseVowels", "TRAIN")
    xt, yt = archive.read("JapaneseVowels", "TEST")
    scores, fitting, telling = [], [], []
    for fit in fits:
        start = time.perf_counter()
        predict = fit(x, y)
        fitted = time.perf_counter()
        scores.append(np.mean(predict(xt) == yt))
        fitting.append(fitted - start)
        telling.append(time.perf_counter() - fitted)
    spread = f" ± {np.std(scores, ddof=1):.4f}" if len(fits) > 1 else ""
    seconds = [f"{np.mean(times):.2f}" for times in (fitting, telling)]
    return [name, BARS.get(name, ""), f"{np.mean(scores):.4f}{spread}", f"{min(scores):.4f}", *seconds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="write results/japanese_vowels.json")
    args = parser.parse_args()
    network({"epochs": 1}, 0)(*archive.read("JapaneseVowels", "TRAIN"))  # compiles the kernels, if they have to be
    rows = [measure(name, [network(options, seed) for seed in SEEDS]) for name, options in NETWORKS.items()]
    if find_spec("torch"):
        rows.append(measure("the default network in PyTorch", [torch_network(seed) for seed in SEEDS]))
    rows.append(measure("1-NN, dynamic time warping", [warped]))
    rows.append(measure("logistic regression on summaries", [logistic]))
    title = f"JapaneseVowels: the speaker of 370 utterances after 270, mean and deviation of {len(SEEDS)} seeds"
    columns = ("", "bar", "accuracy", "least", "fit, s", "test, s")
    tables.publish(tables.Table("japanese_vowels", title, columns, rows), args.keep)


if __name__ == "__main__":
    tables.one_core()
    main()
