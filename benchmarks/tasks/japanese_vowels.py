"""JapaneseVowels: nine speakers, 270 utterances to learn from, 370 to test: python benchmarks/tasks/japanese_vowels.py

Prints accuracy on the test part, its mean and spread over five seeds, and the time of a fit, beside two methods that need no
network: nearest neighbour under dynamic time warping, and logistic regression on summaries of each channel. The defaults were
chosen by select_classifier.py, without the test part. Run it on one core: OMP_NUM_THREADS=1 taskset -c 1 python …
"""

import time
from collections.abc import Callable

import archive
import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gatewright as gw
from gatewright.steps import ragged

SEEDS = range(5)
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


def measure(fits: list[Fit]) -> str:
    """Mean, standard deviation and least accuracy; seconds a fit, by the clock and of the processor, and of all predictions."""
    x, y = archive.read("JapaneseVowels", "TRAIN")
    xt, yt = archive.read("JapaneseVowels", "TEST")
    scores, fitting, working, telling = [], [], [], []
    for fit in fits:
        start, busy = time.perf_counter(), time.process_time()
        predict = fit(x, y)
        fitted = time.perf_counter()
        working.append(time.process_time() - busy)
        scores.append(np.mean(predict(xt) == yt))
        fitting.append(fitted - start)
        telling.append(time.perf_counter() - fitted)
    spread = f"{np.std(scores, ddof=1):.4f}" if len(fits) > 1 else ""
    seconds = "".join(f"{np.mean(times):9.2f}" for times in (fitting, working, telling))
    return f"{np.mean(scores):9.4f}{spread:>9}{min(scores):9.4f}{seconds}"


def main() -> None:
    print(f"gatewright {gw.__version__}, scikit-learn {sklearn.__version__}, NumPy {np.__version__}; {len(SEEDS)} seeds")
    network({"epochs": 1}, 0)(*archive.read("JapaneseVowels", "TRAIN"))  # compiles the kernels, if they have to be
    print(f"{'':<36}{'accuracy':>9}{'std':>9}{'least':>9}{'fit s':>9}{'CPU s':>9}{'test s':>9}")
    for name, options in NETWORKS.items():
        print(f"{name:<36}{measure([network(options, seed) for seed in SEEDS])}", flush=True)
    print(f"{'1-NN, dynamic time warping':<36}{measure([warped])}", flush=True)
    print(f"{'logistic regression on summaries':<36}{measure([logistic])}")


if __name__ == "__main__":
    main()
