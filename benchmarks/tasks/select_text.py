"""Chooses the settings with which text models learn: python benchmarks/tasks/select_text.py [--short]

Only the first 90 % of the King James Bible are read (see king_james.py), of these 1.5 million characters to learn from, twice,
and the 200,000 at their end to compare by. The candidates differ in learning rate, window and batch; printed are bits a
character. About ten minutes on one core; --short: a look at whether it runs.
"""

import argparse
import itertools

from king_james import TRAIN, bible

from gatewright.text.model import TextModel
from gatewright.text.settings import TextSettings

RATES, SIZES = (0.002, 0.004, 0.008), ((100, 32), (100, 64), (50, 32))
LEARN, COMPARE = 1_500_000, 200_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="little text, small networks")
    part = 30 if parser.parse_args().short else 1
    text = bible()
    text = text[: round(TRAIN * len(text))]
    learn, compare = text[-(LEARN + COMPARE) // part : -COMPARE // part], text[-COMPARE // part :]
    print("window  batch  learning rate  bits a character")
    for (window, batch), rate in itertools.product(SIZES, RATES):
        chosen = TextSettings(hidden=256 // part, window=window, batch=batch, learning_rate=rate, epochs=2, held_out=0)
        model = TextModel.train(learn, chosen)
        print(f"{window:6}  {batch:5}  {rate:13}  {model.score(compare).per_character:16.3f}", flush=True)


if __name__ == "__main__":
    main()
