"""What shows a server who somebody is: words that say at a glance what a secret is. No I/O."""

from __future__ import annotations

SESSION = "ats_"
LOGIN = "atl_"
PERSONAL = "atp_"
RUNNER = "atr_"
JOB = "atj_"
SERVER = "atn_"
PILOT = "atq_"

# Beside the socket on which a job reaches the server's API.
JOB_TOKEN_FILE = "journal/api.token"  # noqa: S105 - where it is


def job_token(attempt: int, runner_token: str) -> str:
    """Return the token of a job's own programs, made of its runner's.

    The way back is closed: a job can do for itself what is its own, and cannot report in the name
    of its runner.
    """
    from hashlib import sha256
    from hmac import new

    made = new(runner_token.encode(), b"job %d" % attempt, sha256).hexdigest()
    return "{}{}_{}".format(JOB, attempt, made)


def pilot_token(secret: str, name: str) -> str:
    """Return the token of a pilot, made of the server's secret: nothing has to be kept."""
    from hashlib import sha256
    from hmac import new

    return PILOT + new(secret.encode(), "pilot {}".format(name).encode(), sha256).hexdigest()


def attempt_of(token: str) -> int:
    """Return the attempt that a job's token names; 0 where it is none."""
    number = token[len(JOB) :].partition("_")[0]
    return int(number) if number.isdigit() and len(number) < 19 else 0
