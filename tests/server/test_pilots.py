"""Which pilot gets what, and what is known of jobs in pilots."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import pytest

from atlas_server.domain.berths import Need
from atlas_server.domain.ports import ALIVE, WAITING, Life, Observation
from atlas_server.executor_settings import SlurmSettings, read_executors
from atlas_server.executors.pilot import Waiting
from atlas_server.executors.pilots import Pilots
from atlas_server.pilot_settings import PilotSettings
from foundations.contract.pilots import PilotNews
from foundations.contract.states import StateReason
from foundations.contract.tokens import pilot_token
from foundations.errors import ConfigError, Fenced

GONE_FOR_CERTAIN = Observation(Life.GONE, reason=StateReason.PREEMPTED, message="cancelled")


class Desk:
    """Pilots of an engine that notes what it is asked, of at most two with four CPUs each."""

    def __init__(self, settings: PilotSettings | None = None) -> None:
        self.seen: dict[str, Observation] = {}
        self.alone: list[str] = []
        self.expected: set[str] = set()
        self.is_short = False
        names = (f"pilot-{number}" for number in itertools.count(1))
        self.pilots = Pilots(
            settings or PilotSettings(most=2, cpus=4.0, memory=100, gpus=1),
            "secret",
            lambda: next(names),
            lambda name, _: self.seen.update({name: WAITING}),
            lambda name: self.seen.get(name, ALIVE),
            lambda: self.is_short,
        )

    def put(self, handle: str, cpus: float = 1.0, kind: str = "", **need: int) -> bool:
        values = {"memory": 0, "gpus": 0, **need}
        self.expected.add(handle)
        return self.pilots.put(
            Waiting(
                handle,
                (kind,),
                Need(cpus, **values),
                {"of": handle},
                lambda: self.alone.append(handle),
            )
        )

    def ask(self, name: str = "pilot-1", *carried: str, **said: object) -> list[str]:
        """What a pilot is given that carries this, a CPU for each."""
        news = PilotNews(name, "slurm", "instance", [""], 4.0, 100, 1, node="n1", asks=True)
        holds = {handle: [1.0, 0, 0] for handle in carried}
        news = replace(news, carries=holds, **said)
        self.seen.setdefault(name, ALIVE)
        self.pilots.hear(news)
        orders = self.pilots.orders(news)
        return [] if orders is None else [each.handle for each in orders.begin]

    def over(self, *handles: str) -> None:
        self.expected -= set(handles)
        self.pilots.expect(set(self.expected), set(self.seen))


def test_a_pilot_is_started_where_there_is_no_room_and_given_what_fits() -> None:
    desk = Desk()
    assert all(desk.put(f"job-{number}") for number in range(5))
    assert list(desk.seen) == ["pilot-1", "pilot-2"]
    assert desk.pilots.look("job-0") == WAITING
    assert desk.ask() == ["job-0", "job-1", "job-2", "job-3"]
    assert desk.ask("pilot-2") == ["job-4"]
    seen = desk.pilots.look("job-4")
    assert seen is not None
    assert (seen.life, seen.node) == (Life.ALIVE, "slurm/n1")


def test_what_has_no_room_in_pilots_is_for_the_engine_alone() -> None:
    desk = Desk()
    assert not desk.put("too-many-cpus", 5)
    assert not desk.put("too-much-memory", memory=101)
    assert not desk.put("too-many-gpus", gpus=2)
    assert desk.put("one", 4)
    assert desk.put("two", 4, kind="other")
    assert not desk.put("three", 4), "there are two already"
    assert not Desk(PilotSettings()).put("none")


def test_room_is_free_again_when_a_job_is_over() -> None:
    desk = Desk(PilotSettings(most=1, cpus=4.0))
    desk.put("long", 3)
    assert desk.ask() == ["long"]
    assert not desk.put("next", 2)
    desk.over("long")
    assert desk.put("next", 2)
    assert desk.ask() == ["next"]


def test_where_jobs_end_one_after_the_other_the_next_one_waits_a_moment_for_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(PilotSettings(most=1, cpus=4.0))
    for name in ("first", "second"):
        desk.put(name, 2)
    assert desk.ask() == ["first", "second"]
    assert not desk.put("early", 2), "nothing has ended yet"
    desk.over("first")
    assert desk.put("takes its place", 2)
    assert desk.put("lucky", 2)
    assert desk.put("late", 2)
    assert desk.ask("pilot-1", "second") == ["takes its place"]
    desk.over("second")
    assert desk.ask("pilot-1", "takes its place") == ["lucky"]
    now = time.monotonic() + 3.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    desk.over()
    assert desk.alone == ["late"]
    assert not desk.put("next", 2), "none has ended for a while"


def test_a_pilot_that_its_engine_has_done_with_is_given_nothing() -> None:
    """It may live on, on a node that is cut off."""
    desk = Desk()
    desk.put("runs")
    assert desk.ask() == ["runs"]
    desk.seen["pilot-1"] = Observation(Life.GONE, certain=False, reason=StateReason.LOST)
    desk.over()
    assert desk.put("next")
    assert desk.ask("pilot-1", "runs") == []
    assert desk.ask("pilot-2") == ["next"]


def test_an_answer_that_was_lost_is_given_again() -> None:
    desk = Desk()
    desk.put("job")
    assert desk.ask() == ["job"]
    assert desk.ask() == ["job"], "it does not carry it"
    assert desk.ask("pilot-1", "job") == []


def test_a_pilot_that_takes_no_more_gives_back_what_it_has_not_got() -> None:
    desk = Desk(PilotSettings(most=1, cpus=4.0))
    desk.put("carried")
    assert desk.ask() == ["carried"]
    desk.put("given")
    assert desk.ask("pilot-1", "carried") == ["given"]
    desk.put("promised")
    assert desk.ask("pilot-1", "carried", takes=False) == []
    assert desk.ask("pilot-2") == ["promised", "given"]


def test_a_pilot_that_is_told_to_end_while_it_asks_is_given_nothing_more() -> None:
    desk = Desk()
    desk.put("job")
    asked = PilotNews("pilot-1", "slurm", "i", [""], 4.0, 100, 1, asks=True)
    desk.seen["pilot-1"] = ALIVE
    desk.pilots.hear(replace(asked, asks=False, takes=False))
    orders = desk.pilots.orders(asked)
    assert orders is not None
    assert orders.begin == []
    assert desk.ask("pilot-2") == ["job"]


def test_of_a_pilot_that_is_gone_the_engine_knows_why() -> None:
    desk = Desk()
    desk.put("job")
    desk.ask()
    desk.ask("pilot-1", "job")
    desk.seen["pilot-1"] = GONE_FOR_CERTAIN
    desk.over()
    seen = desk.pilots.look("job")
    assert seen is not None
    assert (seen.life, seen.reason, seen.certain) == (Life.GONE, StateReason.PREEMPTED, True)


def test_pilots_that_never_begin_are_given_up() -> None:
    desk = Desk(PilotSettings(most=4, cpus=4.0))
    desk.put("job")
    for name in ("pilot-1", "pilot-2"):
        assert desk.alone == []
        desk.seen[name] = GONE_FOR_CERTAIN
        desk.over()
    assert desk.alone == ["job"]
    assert not desk.put("another")


def test_a_server_that_comes_back_hears_what_there_is() -> None:
    desk = Desk()
    desk.expected.add("job")
    desk.over()
    assert desk.pilots.look("job") is None
    assert desk.ask("pilot-of-old", "job") == []
    seen = desk.pilots.look("job")
    assert seen is not None
    assert seen.life is Life.ALIVE
    desk.put("more", 3)
    assert desk.ask("pilot-of-old", "job") == ["more"]


def test_jobs_are_stopped_where_they_are() -> None:
    desk = Desk()
    desk.put("waits")
    assert desk.pilots.stop("waits")
    seen = desk.pilots.look("waits")
    assert seen is not None
    assert (seen.life, seen.began, seen.reason) == (Life.GONE, False, StateReason.STOP_REQUESTED)
    desk.put("runs")
    assert desk.ask() == ["runs"]
    assert desk.pilots.stop("runs")
    news = PilotNews("pilot-1", "slurm", "i", [""], 4.0, 100, 1, carries={"runs": [1.0, 0, 0]})
    orders = desk.pilots.orders(news)
    assert orders is not None
    assert orders.stop == ["runs"]
    assert not desk.pilots.stop("unheard-of")


def test_an_idle_pilot_makes_room_for_others() -> None:
    desk = Desk()
    desk.ask()
    desk.is_short = True
    news = PilotNews("pilot-1", "slurm", "i", [""], 4.0, 100, 1)
    orders = desk.pilots.orders(news)
    assert orders is not None
    assert orders.end


def test_a_pilot_shows_a_token_of_its_own() -> None:
    pilots = Desk().pilots
    pilots.check("pilot-1", pilot_token("secret", "pilot-1"))
    with pytest.raises(Fenced):
        pilots.check("pilot-1", pilot_token("secret", "pilot-2"))


def test_the_settings_of_pilots() -> None:
    def read(said: object) -> PilotSettings:
        (settings,) = read_executors({"slurm": {"pilots": said}})
        assert isinstance(settings, SlurmSettings)
        return settings.pilots

    assert read(False).most == 0
    assert read(True).most == 4
    own = {"most": 2, "cpus": 16, "memory": "4GB", "gpus": 2, "idle": 30, "life": 600}
    assert read(own) == PilotSettings(2, 16.0, 4 << 30, 2, 30.0, 600.0)
    for wrong in ("many", {"moist": 1}, {"cpus": 0}, {"memory": "much"}):
        with pytest.raises(ConfigError, match="pilots"):
            read(wrong)


def test_a_claim_is_good_for_who_shows_it_first() -> None:
    pilots = Desk().pilots
    claim = pilots.claims.new("pilot-1")
    assert pilots.admit("pilot-1", claim, "word") == pilot_token("secret", "pilot-1")
    assert pilots.admit("pilot-1", claim, "word") == pilot_token("secret", "pilot-1")
    for name, shown, word in [
        ("pilot-1", claim, "another"), ("pilot-1", "atc_x", "word"), ("pilot-2", claim, "word"),
        ("pilot-1", claim, None),
    ]:  # fmt: skip
        with pytest.raises(Fenced):
            pilots.admit(name, shown, word)
    pilots.expect(set(), [])
    with pytest.raises(Fenced):
        pilots.admit("pilot-1", claim, "word")
