"""``python -m hud``."""

import sys

from hud.cli import main

if __name__ == "__main__":
    sys.exit(main())
