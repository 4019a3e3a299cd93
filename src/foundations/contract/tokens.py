"""What shows a server who somebody is: words that say at a glance what a secret is. No I/O."""

from __future__ import annotations

SESSION = "ats_"
LOGIN = "atl_"
PERSONAL = "atp_"
RUNNER = "atr_"
JOB = "atj_"
SERVER = "atn_"
PILOT = "atq_"
CLAIM = "atc_"

# Beside the socket on which a job reaches the server's API.
JOB_TOKEN_FILE = "journal/api.token"  # noqa: S105 - where it is


def job_token(attempt: int, runner_token: str) -> str:
    """Return the token of a job's own programs, made of its runner's.

    The way back is closed: a job can do for itself what is its own, and cannot report in the name
    of its runner.
    """
    return _made_of(runner_token, attempt, JOB, b"job")


def claim_token(attempt: int, runner_token: str) -> str:
    """Return what a runner shows to get its assignment, where others can read how it was started.

    It is good once: who claims an attempt gives it another token.
    """
    return _made_of(runner_token, attempt, CLAIM, b"claim")


def _made_of(runner_token: str, attempt: int, kind: str, word: bytes) -> str:
    from hashlib import sha256
    from hmac import new

    made = new(runner_token.encode(), b"%s %d" % (word, attempt), sha256).hexdigest()
    return "{}{}_{}".format(kind, attempt, made)


def pilot_token(secret: str, name: str) -> str:
    """Return the token of a pilot, made of the server's secret: nothing has to be kept."""
    from hashlib import sha256
    from hmac import new

    return PILOT + new(secret.encode(), "pilot {}".format(name).encode(), sha256).hexdigest()


def attempt_of(token: str) -> int:
    """Return the attempt that a job's token, or a claim, names; 0 where it is none."""
    number = token[len(JOB) :].partition("_")[0]
    return int(number) if number.isdigit() and len(number) < 19 else 0
