"""A process that never stops exchanging files and folders for links, until its stdin is closed. Linux only.

Each argument names a file or folder; the link to take its place stands beside it, with `.link` at its end.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading

LINK = ".link"
_HERE = -100
_EXCHANGE = 2


def main() -> None:
    """Say how often it was done."""
    libc = ctypes.CDLL(None, use_errno=True)
    pairs = [(os.fsencode(name), os.fsencode(name + LINK)) for name in sys.argv[1:]]
    end = threading.Thread(target=sys.stdin.read, daemon=True)
    end.start()
    rounds = 0
    while end.is_alive():
        for name, link in pairs:
            if libc.renameat2(_HERE, name, _HERE, link, _EXCHANGE):
                raise OSError(ctypes.get_errno(), "they cannot be exchanged")
        rounds += 1
    sys.stdout.write(f"{rounds}\n")


if __name__ == "__main__":
    main()
