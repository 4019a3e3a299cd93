"""Pilots of an engine: places that are kept, in which one short job runs after the other.

An attempt that a pilot may carry waits here until one asks that has room for it; where there is
none another pilot is started. What pilots carry they tell themselves, so that nothing has to be
written down: a server that comes back hears of it within moments.
"""

from __future__ import annotations

import hmac
import logging
import threading
import time
from collections.abc import Callable, Iterable

from atlas_server.domain.berths import Kind, Need, Room
from atlas_server.domain.ports import WAITING, Handle, Life, Observation
from atlas_server.executors.pilot import Pilot, Waiting
from atlas_server.executors.pilot_claims import PilotClaims
from atlas_server.pilot_settings import PilotSettings
from foundations.contract.pilots import PilotNews, PilotOrders
from foundations.contract.states import StateReason
from foundations.contract.tokens import pilot_token
from foundations.errors import Fenced

log = logging.getLogger(__name__)

# One that asks is heard of at least this often.
_SILENCE = 45.0
# Where pilots end jobs one after the other, the next one waits for so long to find room in them.
_PATIENCE = 2.0
# So many pilots of a kind may end without a word before none is started for a while.
_MOST_FAILURES = 2
_PAUSE = 300.0
_SILENT = "Nothing is heard of the pilot that the job was given to."
_ENDED = "The job's runner ended in its pilot."
_WITHDRAWN = "It was stopped before a pilot had it."
_PILOT_ENDED = "The pilot that carried the job has ended."


class Pilots:
    """The pilots of one executor.

    `start` has a pilot of this name started for the first of its attempts, `seen` tells what the
    engine knows of one, `is_short` says whether others wait in the engine for what pilots hold.
    `secret` makes the tokens that pilots show.
    """

    def __init__(
        self,
        settings: PilotSettings,
        secret: str,
        new_name: Callable[[], str],
        start: Callable[[str, Waiting], None],
        seen: Callable[[str], Observation],
        is_short: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._secret = secret
        self._new_name = new_name
        self._start = start
        self._seen = seen
        self._is_short = is_short
        self._changed: Callable[[], None] = lambda: None
        self._lock = threading.RLock()
        self._pilots: dict[str, Pilot] = {}
        self._backlog: dict[Handle, Waiting] = {}
        self._withdrawn: set[Handle] = set()
        # Until when those wait that nobody has promised room to.
        self._hopeful: dict[Handle, float] = {}
        self._looks_at = 0.0
        self._expected: set[Handle] | None = None
        self._failures: dict[Kind, tuple[int, float]] = {}
        self.claims = PilotClaims(secret)
        # For how long a new pilot of a kind has its place.
        self._spans: dict[Kind, float] = {}

    def prepare(self, changed: Callable[[], None]) -> None:
        """Call `changed` when the scheduler should look again."""
        self._changed = changed

    # -- what the executor asks

    def put(self, waiting: Waiting) -> bool:
        """Take an attempt, for a pilot there is or that is started; False: there is no room."""
        with self._lock:
            if self._place(waiting) is None:
                if not self._is_room_soon(waiting):
                    return False
                self._hopeful[waiting.handle] = time.monotonic() + _PATIENCE
                self._look_again()
            self._backlog[waiting.handle] = waiting
            self._wake(waiting.kind)
            return True

    def look(self, handle: Handle) -> Observation | None:
        """Return what is known of a runner; None where no pilot has to do with it."""
        with self._lock:
            if handle in self._backlog:
                return WAITING
            if handle in self._withdrawn:
                reason = StateReason.STOP_REQUESTED
                return Observation(Life.GONE, began=False, reason=reason, message=_WITHDRAWN)
            for pilot in self._pilots.values():
                if handle in pilot.gone:
                    return Observation(Life.GONE, node=pilot.node, message=_ENDED)
                if handle in pilot.carried:
                    return self._carried_by(pilot)
            return None

    def stop(self, handle: Handle) -> bool:
        """Have a runner end its worker; False where no pilot has to do with it."""
        with self._lock:
            if self._take_out(handle) is not None:
                self._withdrawn.add(handle)
                self._changed()
                return True
            for pilot in self._pilots.values():
                if handle in pilot.carried:
                    pilot.stops.add(handle)
                    pilot.wake()
                    return True
            return False

    def expect(self, handles: set[Handle], named: Iterable[str]) -> set[str]:
        """Say which runners there should be, and which pilots the engine has; return ours."""
        with self._lock:
            self._expected = handles
            self._withdrawn &= handles
            for handle in self._backlog.keys() - handles:
                self._take_out(handle)
            for name in set(named) - self._pilots.keys():
                # Of an earlier server: it tells what it is when it asks.
                self._pilots[name] = Pilot(name, (), Room(0.0, 0, 0), takes=False)
            now, pilots = time.monotonic(), self._pilots.values()
            freed = {pilot.kind for pilot in pilots if pilot.forget(handles, now)}
            for kind in freed:
                self._wake(kind)
            self._drop_ended()
            self._send_late()
            self.claims.keep(self._pilots)
            return set(self._pilots)

    # -- what pilots ask

    def check(self, name: str, token: str) -> None:
        """Raise Fenced unless the token is that of the pilot of this name."""
        if not hmac.compare_digest(pilot_token(self._secret, name).encode(), token.encode()):
            raise Fenced("There is no such pilot, or the token is not its own.")

    def admit(self, name: str, claim: str, word: str | None) -> str:
        """Return the token of a pilot that shows its claim. Raises Fenced."""
        return self.claims.admit(name, claim, word)

    def hear(self, news: PilotNews) -> None:
        """Take in what a pilot tells."""
        with self._lock:
            pilot = self._pilots.setdefault(
                news.name, Pilot(news.name, tuple(news.kind), Room(0.0, 0, 0))
            )
            was_taking, kind = pilot.takes, tuple(news.kind)
            now = time.monotonic()
            pilot.kind, pilot.room = kind, Room(news.cpus, news.memory, news.gpus)
            # One that the engine has done with may live on, on a node that it has lost.
            pilot.takes, pilot.heard = news.takes and not self._is_over(news.name), now
            pilot.node = f"{news.executor}/{news.node}" if news.node else pilot.node
            pilot.ends_at = None if news.left is None else now + news.left
            self._failures.pop(kind, None)
            pilot.gone.update(handle for handle in news.ended if handle in pilot.carried)
            for handle, holds in news.carries.items():
                pilot.given.pop(handle, None)
                if self._expected is None or handle in self._expected:
                    if handle not in pilot.gone:
                        cpus, memory, gpus = holds
                        pilot.carried.setdefault(handle, Need(cpus, int(memory), int(gpus)))
            if news.left is not None and kind not in self._spans:
                self._spans[kind] = news.left
            if not news.takes:
                # What one that asks has not got it will not get: its answers come in turn.
                self._take_back(pilot, given=news.asks)
            ended, stale = bool(news.ended), was_taking and not pilot.takes
            if stale:
                pilot.wake()
        if ended or stale:
            self._changed()

    def orders(self, news: PilotNews) -> PilotOrders | None:
        """Return what a pilot that asks is to do; None: nothing yet."""
        with self._lock:
            pilot = self._pilots.get(news.name)
            if pilot is None:
                return PilotOrders(end=True)
            begin = [*pilot.given.values()] if pilot.takes else []
            if pilot.takes:
                begin += self._assign(pilot)
            stop, pilot.stops = sorted(pilot.stops), set()
            idle = not pilot.carried and not begin
            is_unwanted = not self._settings.most or self._is_over(news.name)
            end = idle and (is_unwanted or self._is_short())
            # Told to end since it has asked: it says what it has not got.
            is_ending = news.takes and not pilot.takes and not self._is_over(news.name)
            if not (begin or stop or end or is_ending):
                return None
            return PilotOrders([each.berth for each in begin], stop, end)

    def listen(self, name: str, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` when there may be orders for a pilot; returns the end of it."""
        with self._lock:
            pilot = self._pilots[name]
            pilot.listeners.append(wake)

        def forget() -> None:
            with self._lock:
                pilot.listeners.remove(wake)

        return forget

    # -- inside, with the lock held

    def _assign(self, pilot: Pilot) -> list[Waiting]:
        now, found = time.monotonic(), []
        for waiting in list(self._backlog.values()):
            if waiting.kind == pilot.kind and pilot.free(now).fits(waiting.need):
                self._take_out(waiting.handle)
                pilot.given[waiting.handle] = waiting
                pilot.carried[waiting.handle] = waiting.need
                found.append(waiting)
        return found

    def _take_back(self, pilot: Pilot, *, given: bool) -> None:
        """Look for another place for what a pilot that takes no more does not carry.

        What it was `given` may have begun, unless it is known that it was not.
        """
        homeless = list(pilot.promised)
        pilot.promised.clear()
        if given:
            homeless += pilot.given
            for handle, waiting in pilot.given.items():
                pilot.carried.pop(handle, None)
                self._backlog[handle] = waiting
            pilot.given.clear()
        for waiting in [self._backlog[handle] for handle in homeless]:
            if self._place(waiting) is None:
                del self._backlog[waiting.handle]
                waiting.alone()

    def _take_out(self, handle: Handle) -> Waiting | None:
        for pilot in self._pilots.values():
            pilot.promised.pop(handle, None)
        return self._backlog.pop(handle, None)

    def _place(self, waiting: Waiting) -> Pilot | None:
        """Promise room in a pilot that there is, or a new one; None where there cannot be any."""
        kind, now = waiting.kind, time.monotonic()
        takers = [each for each in self._pilots.values() if each.takes]
        same = (each for each in takers if each.kind == kind)
        found = next((each for each in same if each.unpromised(now).fits(waiting.need)), None)
        if found is None:
            size = self._size(kind)
            full = len(takers) >= self._settings.most
            if full or not size.fits(waiting.need) or self._fails(kind):
                return None
            found = Pilot(self._new_name(), kind, size)
            self._pilots[found.name] = found
            self._start(found.name, waiting)
        found.promised[waiting.handle] = waiting.need
        return found

    def _is_room_soon(self, waiting: Waiting) -> bool:
        """Whether jobs that end make room in pilots of this kind, which a batch job would not."""
        since = time.monotonic() - _PATIENCE
        return self._size(waiting.kind).fits(waiting.need) and any(
            each.takes and each.kind == waiting.kind and each.freed_at > since
            for each in self._pilots.values()
        )

    def _send_late(self) -> None:
        """Let those run without a pilot that were promised none in time."""
        now = time.monotonic()
        for handle, until in list(self._hopeful.items()):
            waiting = self._backlog.get(handle)
            if waiting is None or self._place(waiting) is not None:
                del self._hopeful[handle]
            elif until <= now:
                del self._hopeful[handle], self._backlog[handle]
                waiting.alone()
        if self._hopeful:
            self._look_again()

    def _look_again(self) -> None:
        now = time.monotonic()
        if self._looks_at <= now:
            self._looks_at = min(self._hopeful.values())
            timer = threading.Timer(self._looks_at - now, self._changed)
            timer.daemon = True
            timer.start()

    def _is_over(self, name: str) -> bool:
        return self._seen(name).life is Life.GONE

    def _fails(self, kind: Kind) -> bool:
        count, since = self._failures.get(kind, (0, 0.0))
        if count >= _MOST_FAILURES and time.monotonic() - since > _PAUSE:
            del self._failures[kind]
            return False
        return count >= _MOST_FAILURES

    def _size(self, kind: Kind) -> Room:
        settings = self._settings
        return Room(settings.cpus, settings.memory, settings.gpus, self._spans.get(kind))

    def _carried_by(self, pilot: Pilot) -> Observation:
        seen = self._seen(pilot.name)
        pilot.node = pilot.node or seen.node
        if seen.life is Life.GONE:
            return Observation(
                Life.GONE,
                node=pilot.node,
                certain=seen.certain,
                reachable=seen.reachable,
                reason=seen.reason,
                message=seen.message or _PILOT_ENDED,
            )
        if pilot.heard is not None and time.monotonic() - pilot.heard > _SILENCE:
            return Observation(Life.GONE, node=pilot.node, certain=False, message=_SILENT)
        return Observation(Life.ALIVE, node=pilot.node)

    def _drop_ended(self) -> None:
        for pilot in list(self._pilots.values()):
            if not self._is_over(pilot.name):
                continue
            if pilot.takes and pilot.heard is None:
                count, _ = self._failures.get(pilot.kind, (0, 0.0))
                self._failures[pilot.kind] = (count + 1, time.monotonic())
                log.warning("The pilot %s ended before it was heard of.", pilot.name)
            pilot.takes = False
            self._take_back(pilot, given=False)
            if not pilot.carried:
                del self._pilots[pilot.name]

    def _wake(self, kind: Kind) -> None:
        for pilot in self._pilots.values():
            if pilot.kind == kind:
                pilot.wake()
