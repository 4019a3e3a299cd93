"""Connections that are kept open between uses: one for each thread, process and server."""

from __future__ import annotations

import os
from _thread import _local  # pyright: ignore[reportPrivateUsage] - `threading` loads slowly

from foundations.client.api import Api

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Tuple


class _OfThisThread(_local):
    def __init__(self) -> None:
        # A forked child must not go on with the connection of its parent.
        self.apis: Dict[Tuple[int, str], Api] = {}


_kept = _OfThisThread()


def keep(api: Api) -> None:
    """Let `connection_to` return this one from now on, in this thread."""
    _kept.apis[os.getpid(), api.url] = api


def connection_to(url: str) -> Api:
    """Return this thread's connection to a server.

    Not for answers that are read piece by piece: what comes after would cut them off.
    """
    api = _kept.apis.get((os.getpid(), url))
    if api is None:
        api = Api.of_user(url)
        keep(api)
    return api
