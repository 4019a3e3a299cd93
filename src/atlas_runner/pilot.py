"""A pilot: a host of runners that keeps its place in a cluster.

    python -m atlas_runner.pilot < CHARGE

Asks the server for attempts that fit, begins each in a runner of its own, and ends when it has been
idle for long. Told to end, with SIGTERM or with SIGUSR1, it has its runners end theirs: they report
that their place was taken away.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from atlas_runner.crew import Crew
from atlas_runner.finding import server_now
from atlas_runner.forking import ForkServer
from foundations.client.api import Api
from foundations.contract.codec import plain
from foundations.contract.pilots import Charge, PilotNews
from foundations.errors import Fenced, FoundationsError

log = logging.getLogger(__name__)

_PATIENCE = 20.0
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0
# Ends are gathered for so long: a runner that went well has told the server itself.
_GATHERING = 0.2
_LOOK = 1.0
_GOODBYE = 5.0
_TO_END = (signal.SIGTERM, signal.SIGUSR1)


def main() -> int:
    """Carry attempts until there are no more, or until told to end."""
    charge = Charge(**json.loads(sys.stdin.buffer.readline()))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    return _run(charge)


def run_told(text: str, listens: Callable[[], object]) -> None:
    """The same for a charge that others can read; `listens` is called once signals are heard."""
    asked: list[int] = []
    for number in _TO_END:
        signal.signal(number, lambda heard, _: asked.append(heard))
    listens()
    charge = Charge(**json.loads(text))
    token = _Line(charge).exchange(lambda: bool(asked))
    if token is not None:
        _run(replace(charge, token=token))


def _run(charge: Charge) -> int:
    logging.basicConfig(
        level=logging.WARNING,
        format=f"%(asctime)s pilot {charge.name}: %(levelname)s: %(message)s",
    )
    if charge.remote:
        from atlas_runner.sdk_copies import provide_sdk  # noqa: PLC0415 - loads what few need

        provide_sdk(charge.home)
    return Pilot(charge, os.environ).run()


class Pilot:
    """`variables` are those that the engine has set."""

    def __init__(self, charge: Charge, variables: Mapping[str, str]) -> None:
        self._charge = charge
        self._node = variables.get("SLURMD_NODENAME")  # else the engine tells the server
        self._ends_at = _end_of_place(variables)
        self._wake = threading.Event()
        self._is_told_to_end = False
        self._is_idle = False
        devices = [name for name in variables.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        self._crew = Crew(
            ForkServer(variables, bound=True),
            devices if charge.gpus else [],
            charge.grace,
            self._wake.set,
        )
        self._began = self._busy_at = time.monotonic()
        life = charge.life if self._left() is None else min(charge.life, (self._left() or 0) / 2)
        self._takes_until = self._began + life

    def run(self) -> int:
        """Ask in one thread, tell of ends in another: signals come to the latter."""
        for number in _TO_END:
            signal.signal(number, lambda *_: self._be_told_to_end())
        asking = threading.Thread(target=self._ask_on, name="asks", daemon=True)
        asking.start()
        telling, says_so = _Line(self._charge), False
        while not (self._is_idle or (self._is_told_to_end and self._crew.is_empty)):
            if self._wake.wait(_LOOK):
                time.sleep(_GATHERING)
                self._wake.clear()
            if self._is_told_to_end:
                # First of all, so that nothing is given to us in the place of what ends now.
                says_so = says_so or telling.send(self._news()) is not None
                self._crew.stop_all()
            self._tell_ends(telling)
            self._crew.kill_late()
        asking.join(_GOODBYE)
        self._tell_ends(telling, last=True)
        self._crew.close()
        return 0

    def _be_told_to_end(self) -> None:
        self._is_told_to_end = True
        self._wake.set()

    def _left(self) -> float | None:
        return None if self._ends_at is None else self._ends_at - time.time()

    @property
    def _takes(self) -> bool:
        return not (self._is_told_to_end or self._is_idle) and time.monotonic() < self._takes_until

    def _tell_ends(self, line: _Line, *, last: bool = False) -> None:
        ended = self._crew.ended()
        if not ended and not last:
            return
        if line.send(self._news(ended=ended)) is not None:
            self._crew.told(ended)
        elif not last:
            self._wake.set()  # again, soon

    def _ask_on(self) -> None:
        line, pause = _Line(self._charge), _FIRST_PAUSE
        while not self._is_told_to_end and not self._is_idle:
            orders = line.send(self._news(asks=True))
            if orders is None:
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                pause = _FIRST_PAUSE
                self._follow(orders)
            self._look_whether_idle(line, told=bool(orders and orders["end"]))
        if self._is_told_to_end:
            # What was on its way to us, and we have not begun, is for others.
            line.send(self._news(asks=True))

    def _follow(self, orders: Mapping[str, Any]) -> None:
        for berth in orders["begin"]:
            if self._is_told_to_end:
                return  # the server hears what we have
            self._crew.begin(berth)
        for handle in orders["stop"]:
            self._crew.stop(handle)

    def _look_whether_idle(self, line: _Line, *, told: bool) -> None:
        now = time.monotonic()
        if not self._crew.is_empty:
            self._busy_at = now
            return
        if told or now - self._busy_at >= self._charge.idle or not self._takes:
            self._is_idle = True
            # The server knows it before we go, so that nothing more is given to us.
            orders = line.send(self._news(asks=True))
            if orders is not None and orders["begin"]:
                self._is_idle = False
                self._follow(orders)
            self._wake.set()

    def _news(self, *, ended: list[str] | None = None, asks: bool = False) -> PilotNews:
        charge = self._charge
        idle_in = max(0.05, self._busy_at + charge.idle - time.monotonic())
        takes = self._takes
        return PilotNews(
            name=charge.name,
            executor=charge.executor,
            instance=charge.instance,
            kind=charge.kind,
            cpus=charge.cpus,
            memory=charge.memory,
            gpus=charge.gpus,
            node=self._node,
            left=self._left(),
            takes=takes,
            carries=self._crew.carries(),
            ended=ended or [],
            asks=asks,
            patience=min(_PATIENCE, idle_in) if takes else 0.0,
        )


def _end_of_place(variables: Mapping[str, str]) -> float | None:
    """Return when the engine takes the pilot's place away, as seconds since the epoch."""
    told = variables.get("SLURM_JOB_END_TIME", "")
    if told.isdigit():
        return float(told)
    number, squeue = variables.get("SLURM_JOB_ID"), shutil.which("squeue")
    if number is None or squeue is None:
        return None  # unknown; the engine gives warning
    try:
        words = [squeue, "-h", "-j", number, "-O", "EndTime"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE, check=False)
        return time.mktime(time.strptime(done.stdout.strip(), "%Y-%m-%dT%H:%M:%S"))
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


class _Line:
    """A connection to the server, wherever that is."""

    def __init__(self, charge: Charge) -> None:
        self._charge = charge
        self._api = Api(charge.server, charge.token)
        self._is_up = True

    def exchange(self, is_told_to_end: Callable[[], bool]) -> str | None:
        """Return the token for the charge's claim, whenever there is one; None: there is none."""
        charge, pause = self._charge, _FIRST_PAUSE
        size = {"cpus": charge.cpus, "memory": charge.memory, "gpus": charge.gpus}
        of_whom = {"name": charge.name, "executor": charge.executor, "kind": charge.kind}
        word = secrets.token_urlsafe(24)
        news = PilotNews(instance=charge.instance, word=word, **of_whom, **size)
        while not is_told_to_end():
            answer = self.send(news)
            if answer is not None:
                return answer.get("token")
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        return None

    def send(self, news: PilotNews) -> dict[str, Any] | None:
        """Return the server's answer; None where there is none now."""
        try:
            answer = self._api.pilot(plain(news), news.patience)
        except Fenced as error:
            log.warning("%s", error)
            return {"begin": [], "stop": [], "end": True}
        except FoundationsError as error:
            if self._is_up:
                log.warning("%s It is asked again until it answers.", error)
            self._is_up = False
            url = server_now(self._charge, self._api.url)
            if url != self._api.url:
                self._api.close()
                self._api = Api(url, self._charge.token)
            return None
        self._is_up = True
        return answer


if __name__ == "__main__":
    sys.exit(main())
