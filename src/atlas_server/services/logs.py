"""Logs for those who read them: windows of lines, and what is looked for in them."""

from __future__ import annotations

from atlas_server.archive.log_lines import LogLines, Match
from atlas_server.domain import patterns
from atlas_server.domain.answers import logs as answers
from atlas_server.domain.records import JobRecord
from foundations.errors import InvalidRequest, NotFound

# So much is looked through before an answer, so that a browser can show how far it is.
_BUDGET = 64 << 20
# Bytes shown on both sides of a match.
_AROUND = 500


class Logs:
    """Use cases of reading logs."""

    def __init__(self, lines: LogLines) -> None:
        self._lines = lines

    def lines(self, job: JobRecord, attempt: int, first: int, count: int) -> answers.LogLines:
        """Return lines of an attempt's log (0: the newest). Raises NotFound."""
        attempt = attempt_of(job, attempt)
        window = self._lines.window(job.job_id, attempt, first, count)
        return {
            "attempt": attempt,
            "first": window.first,
            "offset": window.offset,
            "lines": [_text(line) for line in window.lines],
            "cut": window.cut,
            "total_lines": window.total,
            "size": window.size,
        }

    def search(
        self,
        job: JobRecord,
        attempt: int,
        text: str,
        *,
        is_pattern: bool,
        case: bool,
        offset: int,
        limit: int,
    ) -> answers.LogMatches:
        """Return where a text or pattern is in a log. Raises NotFound or InvalidRequest."""
        attempt = attempt_of(job, attempt)
        try:
            find = patterns.line_finder(text, is_pattern=is_pattern, folded=not case)
        except ValueError as error:
            raise InvalidRequest(f"The pattern cannot be read: {error}.") from error
        found, following = self._lines.search(job.job_id, attempt, find, offset, limit, _BUDGET)
        return {
            "attempt": attempt,
            "matches": [_match(match) for match in found],
            "next": following,
        }


def attempt_of(job: JobRecord, attempt: int) -> int:
    """Return the number of an attempt, the newest one's for 0. Raises NotFound."""
    if attempt > job.attempts:
        raise NotFound(f"Job '{job.job_id}' has no attempt {attempt}.")
    return attempt or job.attempts


def _match(match: Match) -> answers.LogMatch:
    begin = max(0, match.begin - _AROUND)
    # Not within a letter.
    while 0 < begin < match.begin and match.text[begin] & 0xC0 == 0x80:
        begin += 1
    before = _text(match.text[begin : match.begin])
    found = _text(match.text[match.begin : match.end][: 4 * _AROUND])
    after = match.text[match.end : match.end + _AROUND].decode("utf-8", "ignore")
    start = _units(before)
    return {
        "line": match.line,
        "offset": match.offset,
        "start": start,
        "end": start + _units(found),
        "text": before + found + after,
    }


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _units(text: str) -> int:
    """How many characters JavaScript counts: those beyond the first 65,536 letters twice."""
    return len(text.encode("utf-16-le")) // 2
