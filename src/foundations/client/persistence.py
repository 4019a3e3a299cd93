"""Goes on trying while a server that has answered before is away."""

from __future__ import annotations

import time
from _thread import allocate_lock  # `threading` loads slowly

from foundations.errors import Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional, TypeVar

    _R = TypeVar("_R")

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 3.0
_ONE_CUT = 60.0


class Persistence:
    """Repeats requests that are harmless to repeat; may be shared by threads.

    `lost` is called once for each time that the server is away. It is waited for so many seconds
    (`patience`); one that has never answered is not waited for.
    """

    def __init__(self, lost: Callable[[Unreachable], None], patience: float = 600.0) -> None:
        self._lost = lost
        self._patience = patience
        self._lock = allocate_lock()
        self._met = False
        self._away_since: Optional[float] = None
        self._told_at = float("-inf")

    def __call__(self, request: Callable[[], _R]) -> _R:
        """Return what `request` returns, once it gets through. Raises what else it raises."""
        pause = _FIRST_PAUSE
        while True:
            try:
                answer = request()
            except Unreachable as error:  # noqa: PERF203 - it waits anyway
                if not self.goes_on(error):
                    raise
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self.met()
                return answer

    def met(self) -> None:
        """Note that the server has answered, if with an error."""
        with self._lock:
            self._met, self._away_since = True, None

    def goes_on(self, error: Unreachable) -> bool:
        """Whether to try again after this error; says it to `lost` where it is news."""
        with self._lock:
            if not self._met or not self._patience:
                return False
            now = time.monotonic()
            if self._away_since is None:
                self._away_since = now
                # Connections notice one cut at different times: the last when others go on.
                if now - self._told_at > _ONE_CUT:
                    self._lost(error)
                self._told_at = now
            return now - self._away_since < self._patience


NEVER = Persistence(lambda error: None, 0.0)
"""Raises at once."""
