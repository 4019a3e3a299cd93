"""What users and projects may have at most, and what users are owed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, cast

EVERYBODY = "*"
"""Stands for every user, or every project, that has no limit of its own."""
USER, PROJECT = "user", "project"


class Scope(NamedTuple):
    """Whose limit it is: a `kind` (user or project) and its name."""

    kind: str
    name: str

    def words(self) -> str:
        """The one who has the limit: "alice" or "project digits"."""
        return self.name if self.kind == USER else f"project {self.name}"


@dataclass(frozen=True, slots=True)
class Limits:
    """The most of each that one user or project may have; None: no limit.

    `jobs` that run, `cpus` and `gpus` that they hold, jobs that wait (`queued`), bytes of code
    and results (`stored`), the highest `priority`. `share` is no limit but a weight, of users: who
    has 2 gets twice of what others get while there is too little for all.
    """

    jobs: int | None = None
    cpus: float | None = None
    gpus: float | None = None
    queued: int | None = None
    stored: int | None = None
    priority: int | None = None
    share: float | None = None

    def over(self, other: Limits) -> Limits:
        """These limits, and the other's where these say nothing."""
        return replace(other, **self.given())

    def given(self) -> dict[str, float]:
        """Those that are set, by name."""
        values = {name: getattr(self, name) for name in LIMIT_NAMES}
        return {name: value for name, value in values.items() if value is not None}


LIMIT_NAMES = tuple(field.name for field in fields(Limits))
# Jobs of a project are several users': whose turn it is goes by user.
OF_PROJECTS = tuple(name for name in LIMIT_NAMES if name != "share")
NO_LIMITS = Limits()


def checked(kind: str, name: str, value: object) -> float:
    """One limit as it is kept. Raises ValueError with the sentence that says what is wrong."""
    if name not in (LIMIT_NAMES if kind == USER else OF_PROJECTS):
        known = LIMIT_NAMES if kind == USER else OF_PROJECTS
        raise ValueError(f"A {kind} has no limit {name!r}, only {', '.join(known)}.")
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**62:
        raise ValueError(f"The limit {name} must be a number, not {value!r}.")
    if name == "priority":
        if not -1000 <= value <= 1000 or value != int(value):
            raise ValueError("The limit priority must be a whole number from -1000 to 1000.")
        return int(value)
    if name == "share":
        if not 0.001 <= value <= 1000:
            raise ValueError("A share must lie between 0.001 and 1000.")
        return float(value)
    if value < 0:
        raise ValueError(f"The limit {name} cannot be below 0.")
    if name in ("cpus", "gpus"):
        return float(value)
    if value != int(value):
        raise ValueError(f"The limit {name} must be a whole number, not {value!r}.")
    return int(value)


class Rules:
    """The limits of all users and projects; who has none of their own has everybody's."""

    def __init__(
        self,
        users: Mapping[str, Limits] | None = None,
        projects: Mapping[str, Limits] | None = None,
    ) -> None:
        self._given = {USER: dict(users or {}), PROJECT: dict(projects or {})}
        self._merged: dict[Scope, Limits] = {}

    @property
    def empty(self) -> bool:
        """Whether nobody has a limit or a share."""
        return not any(self._given.values())

    def given(self, kind: str) -> Mapping[str, Limits]:
        """What was set, by name."""
        return self._given[kind]

    def of(self, scope: Scope) -> Limits:
        """The limits that count for a user or project."""
        found = self._merged.get(scope)
        if found is None:
            given = self._given[scope.kind]
            everybody = given.get(EVERYBODY, NO_LIMITS)
            found = self._merged[scope] = given.get(scope.name, NO_LIMITS).over(everybody)
        return found

    def weight(self, user: str) -> float:
        """A user's share in proportion to others'."""
        return self.of(Scope(USER, user)).share or 1.0

    def over(self, other: Rules) -> Rules:
        """These rules, and the other's where these say nothing."""
        merged: dict[str, dict[str, Limits]] = {}
        for kind, given in self._given.items():
            names = given.keys() | other.given(kind).keys()
            merged[kind] = {
                name: given.get(name, NO_LIMITS).over(other.given(kind).get(name, NO_LIMITS))
                for name in names
            }
        return Rules(merged[USER], merged[PROJECT])


NO_RULES = Rules()


def scopes(user: str, project: str) -> Iterable[Scope]:
    """Whose limits a job counts against."""
    return Scope(USER, user), Scope(PROJECT, project)


def read_rules(value: Any) -> Rules:
    """Rules as files have them: `{users: {NAME: {LIMIT: number}}, projects: ...}`.

    Raises ValueError with the sentence that says what is wrong.
    """
    file = _lines(value, "limits")
    if set(file) - {"users", "projects"}:
        raise ValueError("limits can have `users` and `projects`, with names below.")
    found: dict[str, dict[str, Limits]] = {}
    for key, kind in (("users", USER), ("projects", PROJECT)):
        found[kind] = {}
        for name, given in _lines(file.get(key), key).items():
            values: Any = {
                limit: checked(kind, limit, most) for limit, most in _lines(given, name).items()
            }
            found[kind][name] = Limits(**values)
    return Rules(found[USER], found[PROJECT])


def _lines(value: Any, name: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"{name} must have `name: value` lines.")
    found = cast("dict[Any, Any]", value or {})
    return {str(key): one for key, one in found.items()}
