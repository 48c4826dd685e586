"""Makes a folder a virtual environment with this project and the named extras in it; does nothing where it already is that.

usage: python3 scripts/environment.py FOLDER EXTRA...        make it so
       python3 scripts/environment.py --remove FOLDER        remove it, if it was made here

Two small files in the folder say where things stand. MARKER is written first: the folder is ours, and may be emptied.
STAMP is written last: the environment is whole, and says what it was made from. Where the stamp is missing, something was
interrupted and the environment is made anew; where more is asked for than before, more is installed; else nothing is
touched, and no network is needed.

An old Python 3 has to be able to read this file too, so that it gets as far as the line that says it is too old.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ("pyproject.toml", "constraints.txt")
BUILD = ("hatchling", "editables")  # installed first, so that the project needs no build environment of its own
MARKER = "made-by-gatewright"
STAMP = "gatewright-stamp.json"
WANTED = (3, 11)


class Refusal(Exception):
    """The folder can't be used."""


def python_of(folder):
    """The environment's own Python."""
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def place(folder):
    """What an environment can't outlive, because it is written into it: the two folders and the Python."""
    return {"folder": str(folder.resolve()), "project": str(ROOT), "python": ".".join(map(str, sys.version_info[:3]))}


def recipe():
    """A hash of the files that say what gets installed."""
    return hashlib.sha256(b"\0".join((ROOT / name).read_bytes() for name in RECIPE)).hexdigest()


def stamp_of(folder):
    """The stamp of a whole environment of this place, else None."""
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        valid = stamp["place"] == place(folder) and isinstance(stamp["extras"], list)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return stamp if valid and python_of(folder).exists() else None


def is_ours(folder):
    """Whether the folder may be emptied: it is absent or empty, or was made here, or is the project's own .venv."""
    if not os.path.lexists(folder):
        return True
    if not folder.is_dir():
        return False
    return folder.resolve() == ROOT / ".venv" or (folder / MARKER).exists() or not any(folder.iterdir())


def empty(folder):
    """Removes everything in the folder, which must be ours."""
    if not is_ours(folder):
        raise Refusal(f"VENV={folder}: this exists and was not made here; name another folder, or remove it")
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def make(folder):
    """An environment with nothing but pip, in place of whatever is in the folder."""
    empty(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text("scripts/environment.py may empty this folder\n", encoding="utf-8")
    venv.create(folder, with_pip=True, symlinks=os.name != "nt")


def install(folder, extras):
    """The project, in place, with its extras, at the versions of constraints.txt."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    environment.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", PIP_USER="0")
    pip = [str(python_of(folder)), "-m", "pip", "install", "--quiet", "--constraint", "constraints.txt"]
    project = f".[{','.join(extras)}]" if extras else "."
    for arguments in ([*BUILD], ["--no-build-isolation", "--editable", project]):
        subprocess.run([*pip, *arguments], cwd=str(ROOT), env=environment, check=True)


def ensure(folder, extras):
    """Brings the environment to what is asked for, whatever state it is in."""
    stamp = stamp_of(folder)
    wanted = sorted({*extras, *(stamp["extras"] if stamp else ())})
    complete = {"place": place(folder), "recipe": recipe(), "extras": wanted}
    if stamp == complete:
        return
    print(f"setting up {folder} (this needs the network, once)", flush=True)
    if stamp is None:
        make(folder)
    else:
        (folder / STAMP).unlink()
    install(folder, wanted)
    scratch = folder / f"{STAMP}.new"
    scratch.write_text(json.dumps(complete, indent=1), encoding="utf-8")
    os.replace(str(scratch), str(folder / STAMP))


def remove(folder):
    """Removes the environment, if there is one and it is ours."""
    if os.path.lexists(folder):
        empty(folder)
        folder.rmdir()


def main(arguments):
    """The command line; returns the exit status."""
    if sys.version_info < WANTED:
        got, want = (".".join(map(str, version)) for version in (sys.version_info[:2], WANTED))
        print(f"this is Python {got}, wanted {want} or newer: call make with PYTHON=python{want}", file=sys.stderr)
        return 2
    try:
        if len(arguments) == 2 and arguments[0] == "--remove":
            remove(Path(arguments[1]).absolute())
        elif arguments and arguments[0] and not arguments[0].startswith("-"):
            ensure(Path(arguments[0]).absolute(), arguments[1:])
        else:
            raise Refusal("usage: python3 scripts/environment.py FOLDER EXTRA... | --remove FOLDER")
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 2
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"setting up {arguments[0]} failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
