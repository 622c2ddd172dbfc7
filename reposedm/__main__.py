"""``python -m reposedm``: the command line."""

import sys

from reposedm.cli import main

if __name__ == "__main__":
    sys.exit(main())
