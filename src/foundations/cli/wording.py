"""Times, sizes, states and values as people read them."""

from __future__ import annotations

import json
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

RED, GREEN, YELLOW, CYAN = "31", "32", "33", "36"
BOLD, DIM = "1", "2"
_COLOURS = {
    "queued": YELLOW,
    "starting": CYAN,
    "running": CYAN,
    "stopping": YELLOW,
    "completed": GREEN,
    "failed": RED,
    "stopped": DIM,
    "deleted": DIM,
}
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def state_cell(job: Dict[str, Any]) -> Tuple[str, str]:
    """Return a job's state, with why it failed, and its colour."""
    state = str(job["state"])
    if state == "stopped" and job["reason"] == "pruned":
        return "pruned", DIM
    colour = _COLOURS.get(state, "")
    if state == "starting" and job.get("message"):
        return "starting (waits)", colour
    if state != "failed" or not job["reason"]:
        return state, colour
    if job["reason"] == "nonzero_exit":
        # Only of a program that nobody watched it may be unknown.
        code = job["exit_code"]
        return "failed ({})".format("killed" if code is None else "exit {}".format(code)), colour
    return "failed ({})".format(job["reason"].replace("_", " ")), colour


def kind(job: Dict[str, Any]) -> str:
    """Return how a job came to run where that is worth a word."""
    return "by hand" if job["kind"] == "executed" else ""


def ago(moment: Optional[float], now: float) -> str:
    """Return how long ago something was: `3 min ago`; the day for what is long past."""
    if moment is None:
        return ""
    seconds = now - moment
    if seconds < 2:
        return "just now"
    if seconds > 30 * 86400:
        return time.strftime("%Y-%m-%d", time.localtime(moment))
    return rough(seconds) + " ago"


def gone(removed: Dict[str, Any]) -> str:
    """Return when and by which rule something of a job was removed."""
    day = time.strftime("%Y-%m-%d", time.localtime(removed["time"]))
    return "removed on {} by the rule '{}'".format(day, removed["rule"])


def rough(seconds: float) -> str:
    """Return a duration in its largest unit: `3 min`."""
    for length, unit in _UNITS:
        if seconds >= length:
            return "{} {}".format(int(seconds // length), unit)
    return "{} s".format(max(0, int(seconds)))


def duration(seconds: Optional[float]) -> str:
    """Return a duration in two digits or units: `34 ms`, `1.2 s`, `3 min 12 s`, `2 h 5 min`."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    if seconds < 0.0001:
        return "0 s"
    if seconds < 0.0995:
        return "{:.2g} ms".format(1000 * seconds)
    if seconds < 1:
        return "{:.2f} s".format(seconds)
    if seconds < 10:
        return "{:.1f} s".format(seconds)
    whole = int(seconds)
    lower = (("h", 3600), ("min", 60), ("s", 1))
    for (length, unit), (small, size) in zip(_UNITS, lower):
        if whole >= length:
            rest = whole % length // size
            text = "{} {}".format(whole // length, unit)
            return "{} {} {}".format(text, rest, small) if rest else text
    return "{} s".format(whole)


def running_time(job: Dict[str, Any], now: float) -> Optional[float]:
    """Return for how many seconds a job ran, or runs; None for one that never started."""
    if job["started_at"] is None:
        return None
    return float((job["finished_at"] or now) - job["started_at"])


def date(moment: Optional[float]) -> str:
    """Return a moment in local time to the second."""
    if moment is None:
        return ""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def memory(size: Optional[float]) -> str:
    """Return bytes of memory in powers of 1024, as `--ram` takes them: `8 GB`."""
    if size is None:
        return ""
    amount, power = float(size), 0
    while amount >= 1000 and power < 4:
        amount, power = amount / 1024, power + 1
    number = "{:.0f}" if amount >= 99.5 else "{:.3g}"
    return "{} {}".format(number.format(amount), ("B", "kB", "MB", "GB", "TB")[power])


def resources(asked: Dict[str, Any]) -> str:
    """Return what a job asks for or holds: `2 CPUs, 8 GB, 1 GPU`."""
    parts = [counted(asked["cpus"], "CPU")]
    if asked["memory"]:
        parts.append(memory(asked["memory"]))
    if asked["gpus"]:
        parts.append(counted(asked["gpus"], "GPU"))
    return ", ".join(parts)


def counted(number: float, word: str) -> str:
    """Return `1 job`, `2 jobs`, `0.5 GPUs`."""
    return "{:g} {}{}".format(number, word, "" if number == 1 else "s")


def value(anything: Any) -> str:
    """Return a parameter's or metric's value, numbers with six digits."""
    if isinstance(anything, float):
        if anything.is_integer() and abs(anything) < 1e15:
            return str(int(anything))
        return "{:.6g}".format(anything)
    if isinstance(anything, str):
        return anything
    return json.dumps(anything, ensure_ascii=False)


def pairs(values: Dict[str, Any]) -> str:
    """Return `lr=0.1 epochs=3`."""
    return " ".join("{}={}".format(name, value(item)) for name, item in values.items())


def command(job: Dict[str, Any]) -> str:
    """Return the command line that a job runs, as far as its image does not decide."""
    from shlex import quote

    words = (job["entrypoint"] or ["python"]) + job["command"]
    if job["spec"]["worker"].get("image") and not job["entrypoint"]:
        script = job["command"] and job["command"][0].endswith(".py")
        words = words if script else job["command"]
    return " ".join(quote(word) for word in words)
