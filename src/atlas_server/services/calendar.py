"""Dates of queries as moments: in the zone of who asks, else in the server's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from atlas_server.domain.query.literals import Date
from foundations.errors import InvalidRequest


class ZoneCalendar:
    """The calendar of one time zone at one moment; `zone` is an IANA name, None the server's."""

    def __init__(self, now: float, zone: str | None = None) -> None:
        self._now = now
        self._zone = _zone(zone) if zone else None

    def now(self) -> float:
        """Return seconds since the epoch."""
        return self._now

    def day(self, back: int) -> tuple[float, float]:
        """Return when a day began and ended, counted back from today."""
        today = self._at(self._now)
        day = datetime(today.year, today.month, today.day) - timedelta(days=back)  # noqa: DTZ001
        return self._seconds(day), self._seconds(day + timedelta(days=1))

    def span(self, date: Date) -> tuple[float, float]:
        """Return when the year, month, day, hour, minute or second begins and ends. ValueError."""
        begin = datetime(  # noqa: DTZ001 - the zone comes with _seconds
            date.year,
            date.month if date.month is not None else 1,
            date.day if date.day is not None else 1,
            date.hour or 0,
            date.minute or 0,
            date.second or 0,
        )
        zone = None if date.offset is None else timezone(timedelta(minutes=date.offset))
        try:
            return self._seconds(begin, zone), self._seconds(_end(begin, date), zone)
        except OverflowError as error:
            raise ValueError(str(error)) from error

    def _at(self, moment: float) -> datetime:
        utc = datetime.fromtimestamp(moment, UTC)
        return utc.astimezone(self._zone)

    def _seconds(self, local: datetime, zone: tzinfo | None = None) -> float:
        zone = zone or self._zone
        # Without a zone a date is taken to be of this machine's.
        return (local if zone is None else local.replace(tzinfo=zone)).timestamp()


def _end(begin: datetime, date: Date) -> datetime:
    if date.month is None:
        return begin.replace(year=begin.year + 1)
    if date.day is None:
        return (begin + timedelta(days=31)).replace(day=1)
    if date.hour is None:
        return begin + timedelta(days=1)
    if date.minute is None:
        return begin + timedelta(hours=1)
    return begin + (timedelta(minutes=1) if date.second is None else timedelta(seconds=1))


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidRequest(
            f"There is no time zone {name!r}.", "Give an IANA name such as Europe/Berlin."
        ) from error
