"""Mutants of forecasters' files, read, and asked to forecast, under limits of memory and time.

usage: python fuzz_forecasters.py SECONDS SEED        by hand

Reading may raise FormatError alone, in one short line with the file's name; what is read has to forecast, or say in one line
why it can't. Prints how many were read, how many of these forecast, and how many were refused.
"""

import random
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mutants import mutant

import gatewright as gw
from gatewright.errors import FormatError, GatewrightError
from gatewright.forecasting import forecaster

ROOM = 400 << 20  # bytes of memory beyond what Python has at the start
LONGEST = 2  # seconds for one file


def originals(folder):
    """{name: bytes} of whole files."""
    rng = np.random.default_rng(0)
    t = np.arange(60)
    y = 50 + 5 * np.sin(t) + rng.standard_normal(60)
    small = {"horizon": 3, "hidden_size": 2, "ensemble": 2, "epochs": 1, "random_state": 0}
    gw.Forecaster(**small).fit(y).save(folder / "one")
    columns = {name: np.column_stack([t[:rows], y[:rows]]) for name, rows in (("a", 60), ("b", 40))}
    series = {name: np.where(t[:rows] == 7, np.nan, y[:rows]) for name, rows in (("a", 60), ("b", 40))}
    gw.Forecaster(**small, scale="log").fit(series, columns, known=[0]).save(folder / "many")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def use(path):
    """What comes of a file: a word."""
    try:
        engine, read = forecaster.load(path), gw.Forecaster.load(path)
    except FormatError as error:
        if "\n" in str(error) or len(str(error)) >= 700 or str(path) not in str(error):
            sys.exit(f"not one short line with the file's name: {error}")
        return "refused"
    try:
        future = np.zeros((engine.settings.horizon, int(engine.beside.known.sum()))) if engine.beside.known.any() else None
        with np.errstate(all="ignore"):
            told = read.predict_interval(future=future)
    except GatewrightError as error:
        if "\n" in str(error) or len(str(error)) >= 700:
            sys.exit(f"not one short line: {error}")
        return "read, and can't forecast"
    if not (told.lower <= told.upper).all():
        return "read, and forecasts nonsense"
    return "forecast"


def main(seconds, seed):
    rng, done = random.Random(int(seed)), {}
    with tempfile.TemporaryDirectory() as folder:
        whole = originals(Path(folder))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM,) * 2)
        end = time.monotonic() + float(seconds)
        while time.monotonic() < end:
            name = rng.choice(sorted(whole))
            path = Path(folder) / name
            path.write_bytes(content := mutant(whole[name], rng))
            start = time.monotonic()
            try:
                word = use(path)
            except BaseException:
                print(name, content, sep="\n")
                raise
            done[name, word] = done.get((name, word), 0) + 1
            if time.monotonic() - start > LONGEST:
                sys.exit(f"took {time.monotonic() - start:.1f} s: {content[:20000]!r}")
    print(*(f"{name}: {word} {count}" for (name, word), count in sorted(done.items())), sep="\n")


if __name__ == "__main__":
    warnings.simplefilter("error")
    main(*sys.argv[1:])
