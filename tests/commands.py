"""The command as the tests call it, and the CSV files that it writes."""

import csv

from gatewright import cli


def run(capsys, *argv):
    """(exit code, what was printed, what was complained of)"""
    try:
        code = cli.main([str(arg) for arg in argv])
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr()
    return code, said.out, said.err


def read(path):
    """The rows of a CSV file, each a dict."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
