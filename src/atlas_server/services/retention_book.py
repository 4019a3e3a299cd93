"""What is kept for how long: the configuration's rules, and what admins set for projects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from atlas_server.domain.answers.retention import RetentionRule, RetentionTable
from atlas_server.domain.retention import (
    REMOVABLE,
    ProjectRule,
    Retention,
    Rule,
    read_project_rules,
)
from atlas_server.store import retention
from atlas_server.store.engine import Store
from foundations.errors import ConfigError, InvalidRequest, NotFound


class RetentionBook:
    """Shows and changes the rules; `services.retention` carries them out."""

    def __init__(self, store: Store, settings: Retention) -> None:
        self._store = store
        self._settings = settings

    def table(self) -> RetentionTable:
        """Return every rule."""
        with self._store.read() as connection:
            own = retention.rules_of_projects(connection)
        exempt = [
            key if value is None else f"{key}={value}" for key, value in self._settings.exempt
        ]
        return {
            "rules": [*map(_from_file, self._settings.rules), *map(_set, own)],
            "exempt": exempt,
        }

    def change(self, project: str, wanted: Mapping[str, Any]) -> None:
        """Set what is kept of a project. Raises InvalidRequest."""
        if not project.strip():
            raise InvalidRequest("Say of which project.")
        try:
            rules = read_project_rules(project, dict(wanted))
        except ConfigError as error:
            raise InvalidRequest(error.message, error.hint) from error
        with self._store.write(durable=True) as connection:
            for rule in rules:
                retention.set_rule(connection, rule)

    def remove(self, project: str, what: Sequence[str] = ()) -> None:
        """Take back what was set for a project, about these things or all. Raises NotFound."""
        with self._store.write(durable=True) as connection:
            found = retention.remove_rules(connection, project, what or REMOVABLE)
        if not found:
            raise NotFound(
                f"Nothing of that was set for '{project}'.", "See: foundations retention"
            )


def _from_file(rule: Rule) -> RetentionRule:
    return {
        "name": rule.name,
        "remove": list(rule.remove),
        "after": rule.after,
        "states": [state.value for state in rule.states],
        "projects": list(rule.projects),
        "keep_last": rule.keep_last,
        "origin": "file",
    }


def _set(rule: ProjectRule) -> RetentionRule:
    return {
        "name": f"project {rule.project}",
        "remove": [rule.what],
        "after": rule.after,
        "states": [state.value for state in rule.states],
        "projects": [rule.project],
        "keep_last": rule.keep_last,
        "origin": "set",
    }
