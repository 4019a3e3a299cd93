"""What is kept for how long: the rules that a server's configuration gives."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

from foundations.contract.request import parse_duration, suggestion
from foundations.contract.states import FINAL_STATES, JobState
from foundations.errors import ConfigError

JOB, LOG, ARTIFACTS, RESULTS = "job", "log", "artifacts", "results"
DIRECTORIES, MEASUREMENTS = "directories", "measurements"
REMOVABLE = (LOG, ARTIFACTS, RESULTS, DIRECTORIES, MEASUREMENTS, JOB)
"""What a rule may remove: of a job, or the job with all that it has."""

_DAY = 86400.0
_FINAL = {state.value: state for state in sorted(FINAL_STATES, key=lambda state: state.value)}
_MOST_SPARED = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Rule:
    """Removes what is in `remove` of jobs that have been over for `after` seconds.

    Of those alone that ended in one of `states`, in projects that one of the patterns `projects`
    fits; of each project's jobs that the rule is about the newest `keep_last` are spared.
    """

    name: str
    remove: tuple[str, ...]
    after: float
    states: tuple[JobState, ...]
    projects: tuple[str, ...] = ("*",)
    keep_last: int = 0

    def is_about(self, project: str) -> bool:
        """Whether jobs of a project fall under it."""
        return any(fnmatch.fnmatchcase(project, pattern) for pattern in self.projects)


@dataclass(frozen=True, slots=True)
class ProjectRule:
    """What was set for `what` of one project: it counts instead of the configuration's rules.

    As a `Rule` says; where `after` is None it is kept for ever.
    """

    project: str
    what: str
    after: float | None
    states: tuple[JobState, ...]
    keep_last: int = 0

    def rule(self) -> Rule | None:
        """Return the rule that removes it; None where none does."""
        if self.after is None:
            return None
        exactly = self.project.translate(_LITERALLY)
        name = f"project {self.project}"[:60]
        return Rule(name, (self.what,), self.after, self.states, (exactly,), self.keep_last)


@dataclass(frozen=True, slots=True)
class Retention:
    """All rules. Jobs with a tag in `exempt` (key, value or None for any) are left alone.

    Entries of the audit log are kept for `audit` seconds, environments that nobody uses for
    `environments`, caches as long; None: for ever.
    """

    rules: tuple[Rule, ...] = ()
    exempt: tuple[tuple[str, str | None], ...] = (("keep", None),)
    audit: float | None = None
    environments: float | None = 60 * _DAY


KEEP_ALL = Retention()
# What patterns of names would take for more than a letter.
_LITERALLY = str.maketrans({letter: f"[{letter}]" for letter in "[*?"})
_SETTINGS = ("rules", "exempt", "audit", "environments")
_OF_PROJECTS = ("remove", "after", "states", "keep_last")
_OF_RULES = ("name", "remove", "after", "states", "projects", "keep_last")


def read_retention(value: Any) -> Retention:
    """Return what the setting `retention` says. Raises ConfigError."""
    if value is None:
        return KEEP_ALL
    given = _mapping("retention", value, _SETTINGS)
    exempt = _texts("retention: exempt", given.get("exempt", "keep"))
    listed: Any = given.get("rules") or []
    if not isinstance(listed, list):
        raise ConfigError("retention: rules must be a list.")
    rules = cast("list[Any]", listed)
    read = tuple(_rule(number, rule) for number, rule in enumerate(rules, 1))
    names = [rule.name for rule in read]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"retention: two rules are called {twice!r}.")
    return Retention(
        read,
        tuple((key, tag or None) for key, _, tag in (each.partition("=") for each in exempt)),
        _duration("retention: audit", given.get("audit", "never")),
        _duration("retention: environments", given.get("environments", "60d")),
    )


def read_project_rules(project: str, value: Any) -> list[ProjectRule]:
    """Return what is to be set for a project: `remove`, `after` and what else rules have.

    Raises ConfigError.
    """
    given = _mapping("The rule", value, _OF_PROJECTS)
    if given.get("after") is None:
        raise ConfigError("Say `after` how long, as in 90d, or never.")
    is_kept = given["after"] == "never"
    rule = _rule(1, {**given, "name": project, "after": 1 if is_kept else given["after"]})
    return [
        ProjectRule(project, what, None if is_kept else rule.after, rule.states, rule.keep_last)
        for what in dict.fromkeys(rule.remove)
    ]


def _rule(number: int, value: Any) -> Rule:
    given = _mapping(f"retention: rule {number}", value, _OF_RULES)
    name = str(given.get("name") or f"rule {number}")[:60]
    where = f"retention: {name}"
    after = _duration(f"{where}: after", given.get("after"))
    if after is None:
        raise ConfigError(f"{where}: say `after` how long, as in 90d.")
    keep_last = given.get("keep_last", 0)
    is_whole = isinstance(keep_last, int) and not isinstance(keep_last, bool)
    if not is_whole or not 0 <= keep_last <= _MOST_SPARED:
        raise ConfigError(f"{where}: keep_last must be a whole number, not {keep_last!r}.")
    states = _some(f"{where}: states", given.get("states", list(_FINAL)), tuple(_FINAL))
    return Rule(
        name,
        tuple(_some(f"{where}: remove", given.get("remove"), REMOVABLE)),
        after,
        tuple(_FINAL[state] for state in states),
        tuple(_texts(f"{where}: projects", given.get("projects", "*"))),
        keep_last,
    )


def _mapping(where: str, value: Any, known: Collection[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where} must hold `name: value` lines.")
    found = {str(key): one for key, one in cast("dict[Any, Any]", value).items()}
    for key in found:
        if key not in known:
            raise ConfigError(
                f"{where} has no setting {key!r}.{suggestion(key, known)}",
                f"Settings are: {', '.join(known)}.",
            )
    return found


def _texts(where: str, value: Any) -> list[str]:
    listed: Any = [value] if isinstance(value, str) else value
    names: list[Any] = cast("list[Any]", listed) if isinstance(listed, list) else [None]
    if not all(isinstance(name, str) and name for name in names):
        raise ConfigError(f"{where} must be a name or a list of names, not {value!r}.")
    return names


def _some(where: str, value: Any, known: Collection[str]) -> list[str]:
    found = _texts(where, value)
    if not found:
        raise ConfigError(f"{where} must name something.", f"Known: {', '.join(known)}.")
    for each in found:
        if each not in known:
            raise ConfigError(
                f"{where} cannot be {each!r}.{suggestion(each, known)}",
                f"Known: {', '.join(known)}.",
            )
    return found


def _duration(where: str, value: Any) -> float | None:
    if value is None or value == "never":
        return None
    try:
        return parse_duration(value)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.message}", error.hint) from error
