"""Builds the guide with sphinx, in every language; a warning is an error.

usage: python scripts/guide.py [FOLDER]        into FOLDER/en and FOLDER/zh, by default docs/_build/guide
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "docs" / "guide"
LANGUAGES = {"en": "en", "zh": "zh_CN"}  # the folder, and sphinx' name of the language


def command(name, folder):
    """The command that builds one language into folder/NAME."""
    options = ["-q", "-E", "-W", "--keep-going", "-n", "-b", "html", "-D", f"language={LANGUAGES[name]}"]
    return [
        *(sys.executable, "-m", "sphinx", *options, "-c", str(SOURCE)),
        *("-d", str(folder / ".doctrees" / name), str(SOURCE / name), str(folder / name)),
    ]


def main(arguments):
    """The command line; returns the exit status."""
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        print("usage: python scripts/guide.py [FOLDER]", file=sys.stderr)
        return 2
    folder = Path(arguments[0]) if arguments else ROOT / "docs" / "_build" / "guide"
    running = {name: subprocess.Popen(command(name, folder)) for name in LANGUAGES}
    failed = [name for name, process in running.items() if process.wait()]
    for name in LANGUAGES:
        print(f"{folder / name / 'index.html'}{': FAILED' if name in failed else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
