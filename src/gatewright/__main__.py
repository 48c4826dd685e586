"""`python -m gatewright`: the command."""

import sys

from gatewright.cli import main

if __name__ == "__main__":
    sys.exit(main())
