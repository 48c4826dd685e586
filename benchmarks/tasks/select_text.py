"""Chooses the settings with which text models learn: python benchmarks/tasks/select_text.py [--short]

Only the first 90 % of the King James Bible are read (see king_james.py), of these 1.5 million characters to learn from, and the
200,000 at their end to compare by. First, candidates that differ in learning rate, window and batch read them twice; then those
of the best window and batch, from half of the best rate up, read them five times: a long training bears a lower rate than a
short one. Printed are bits a character of an LSTM with 256 units. Ten to fifteen minutes on one core; --short: a look at
whether it runs.
"""

import argparse
import dataclasses
import itertools

from king_james import TRAIN, bible

from gatewright.text.model import TextModel
from gatewright.text.settings import TextSettings

RATES, SIZES = (0.002, 0.004, 0.008), ((100, 32), (100, 64), (50, 32))  # (window, batch)
LEARN, COMPARE = 1_500_000, 200_000
ROUNDS = (2, 5)  # epochs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="little text, small networks")
    part = 50 if parser.parse_args().short else 1
    text = bible()
    text = text[: round(TRAIN * len(text))]
    learn, compare = text[-(LEARN + COMPARE) // part : -COMPARE // part], text[-COMPARE // part :]

    def bits(settings: TextSettings) -> float:
        score = TextModel.train(learn, settings).score(compare).per_character
        chosen = f"{settings.epochs} epochs, window {settings.window}, batch {settings.batch}, rate {settings.learning_rate}"
        print(f"{chosen}: {score:.3f}", flush=True)
        return score

    first = [
        TextSettings(hidden=256 // part, window=window, batch=batch, learning_rate=rate, epochs=ROUNDS[0], held_out=0)
        for (window, batch), rate in itertools.product(SIZES, RATES)
    ]
    best = min(first, key=bits)
    alike = [each for each in first if (each.window, each.batch) == (best.window, best.batch)]
    second = [dataclasses.replace(each, epochs=ROUNDS[1]) for each in alike if each.learning_rate >= best.learning_rate / 2]
    chosen = min(second, key=bits)
    print(f"chosen: window={chosen.window}, batch={chosen.batch}, learning_rate={chosen.learning_rate}")


if __name__ == "__main__":
    main()
