# ruff: noqa: UP036
"""Starts hud from the zipapp. Parses on every Python, so that an old one gets a sentence."""

import os
import sys

CONTENTS = ""  # tools/build_zipapp writes the hash of the archive's contents here


def main():
    if sys.version_info < (3, 10):
        have = ".".join(str(number) for number in sys.version_info[:2])
        sys.stderr.write("hud: Python 3.10 or newer is needed, this is Python " + have + "\n")
        sys.stderr.write("hint: name a newer one, for example: python3.12 " + sys.argv[0] + "\n")
        return 4
    if not sys.flags.isolated:  # named to a Python: PYTHONPATH must not say what root imports
        os.execv(sys.executable, [sys.executable, "-I"] + sys.orig_argv[1:])  # noqa: RUF005
    import hud_start

    return hud_start.start(CONTENTS)


if __name__ == "__main__":
    sys.exit(main())
