"""What the SDK says to the person who reads the program's output."""

from __future__ import annotations

import sys


def warn(message: str) -> None:
    """Print a warning on stderr.

    Neither `logging` nor `warnings`: the first belongs to the user's program, and filters of the
    second could turn a remark about tracking into an exception in the middle of a training.
    """
    stream = sys.stderr
    if stream is None:  # a program without a console
        return
    try:
        stream.write("Foundations WARNING: {}\n".format(message))
        stream.flush()
    except (OSError, ValueError):
        # stderr is closed or full: there is nowhere left to say so, and the training goes on.
        return
