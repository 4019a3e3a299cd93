"""What pilots ask of this process, if it is the one that schedules."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from atlas_server.domain.ports import PilotDesk
from foundations.contract.pilots import PilotNews, PilotOrders
from foundations.errors import Fenced, Unavailable, WrongServer


class PilotsHeard:
    """`desks` by the name of their executor; `leads` says whether this process schedules."""

    def __init__(
        self, desks: Mapping[str, PilotDesk], leads: Callable[[], bool], instance: str
    ) -> None:
        self._desks = desks
        self._leads = leads
        self._instance = instance

    def admit(self, claim: str, news: PilotNews) -> PilotOrders:
        """Give a pilot that shows its claim its token. Raises as `hear` does."""
        return PilotOrders(token=self._desk(news).admit(news.name, claim, news.word))

    def hear(self, token: str, news: PilotNews) -> PilotDesk:
        """Take in what a pilot tells, and return where it gets its orders.

        Raises Fenced, WrongServer, or Unavailable where another process schedules.
        """
        desk = self._desk(news)
        desk.check(news.name, token)
        desk.hear(news)
        return desk

    def _desk(self, news: PilotNews) -> PilotDesk:
        if news.instance != self._instance:
            raise WrongServer("The pilot belongs to another server, which was at this address.")
        if not self._leads():
            raise Unavailable("Another process of this server schedules.", "Ask again.")
        desk = self._desks.get(news.executor)
        if desk is None:
            raise Fenced(f"There is no executor '{news.executor}' with pilots any more.")
        return desk
