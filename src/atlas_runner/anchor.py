"""What an engine sees of a runner that is to outlive it: a process that waits for the runner.

    ATLAS_TOLD=... python -m atlas_runner.anchor [pilot]

Ray, say, kills what it has started, and all that this has started, when it stops a job or has lost
its own head. The runner is nobody's child and has a session of its own; the anchor keeps the place
in the engine's books, hands on the signals that the engine sends, and ends when the runner has. So
its exit code says whether the runner is gone, or only the anchor is.
"""

from __future__ import annotations

import os
import select
import signal
import sys

# The runner has ended by itself; it has ended otherwise, and none of it is left. Other codes are
# those of a program that never came to start a runner.
ENDED = 0
DIED = 70

TOLD = "ATLAS_TOLD"
_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
# Nobody's business in the runner and its job: what says how we were started, and what makes
# `breakpoint()` and programs of their own talk to the engine.
_OURS = (
    *(TOLD, "ATLAS_GROUP_ASKED"),
    *("RAY_JOB_CONFIG_JSON_ENV_VAR", "RAY_JOB_STOP_WAIT_TIME_S", "PYTHONBREAKPOINT"),
)


def main() -> int:
    """Start a runner and wait for it."""
    told = os.environ[TOLD]
    for name in _OURS:
        os.environ.pop(name, None)
    os.umask(0o077)
    os.chdir("/")
    # Signals wait until there is somebody to hear them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    from_runner, to_anchor = os.pipe()
    go, say_go = os.pipe()
    between = os.fork()
    if between == 0:
        os.setsid()
        if os.fork() > 0:
            os._exit(0)
        os.close(from_runner)
        os.close(say_go)
        os.write(to_anchor, b"%d\n" % os.getpid())
        os.read(go, 1)
        return _run(told, to_anchor)
    os.close(to_anchor)
    os.close(go)
    os.waitpid(between, 0)
    pid = int(os.read(from_runner, 32))
    descriptor = os.pidfd_open(pid)

    def hand_on(number: int, _frame: object) -> None:
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            pass  # it has just ended

    for number in _SIGNALS:
        signal.signal(number, hand_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    os.close(say_go)
    select.select([descriptor], [], [])
    if os.read(from_runner, 1):
        return ENDED
    if not _is_pilot():
        from atlas_runner.errand import clean_up  # noqa: PLC0415 - as below

        clean_up(told)
    return DIED


def _is_pilot() -> bool:
    """Whether it is no runner that is started, but a pilot, whose runners end when it does."""
    return sys.argv[1:] == ["pilot"]


def _run(told: str, to_anchor: int) -> int:
    # Late: the anchor, which waits for days, stays small.
    if _is_pilot():
        from atlas_runner.pilot import run_told  # noqa: PLC0415
    else:
        from atlas_runner.errand import run_claimed as run_told  # noqa: PLC0415
    # From here on signals are heard by what that has them heard by.
    run_told(told, lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS))
    os.write(to_anchor, b"0")
    return 0


if __name__ == "__main__":
    sys.exit(main())
