"""The product's source, parsed once for all architecture tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEMPLATE = "foundations/cli/template/"


@dataclass(frozen=True)
class Module:
    """One Python file below src/; `path` is relative to it, with slashes."""

    path: str
    text: str
    tree: ast.Module

    def is_in(self, *folders_or_files: str) -> bool:
        """Whether the module is one of these files or lies below one of these folders ("x/")."""
        return any(
            self.path.startswith(name) if name.endswith("/") else self.path == name
            for name in folders_or_files
        )

    def imports(self) -> Iterator[tuple[str, int, bool]]:
        """Yield (imported dotted name, line, whether it is inside a function).

        `from a import b` is "a.b". What only a type checker reads is left out.
        """
        yield from _imports(self.tree, late=False)


def _imports(node: ast.AST, late: bool) -> Iterator[tuple[str, int, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield from _imports(ast.Module([other], []), late)
        elif isinstance(child, ast.Import):
            for alias in child.names:
                yield alias.name, child.lineno, late
        elif isinstance(child, ast.ImportFrom):
            for alias in child.names:
                yield f"{child.module}.{alias.name}", child.lineno, late
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, late or inside)


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    """Every module of the product, without the project template, which is a user's code."""
    found = []
    for file in sorted((ROOT / "src").rglob("*.py")):
        path = file.relative_to(ROOT / "src").as_posix()
        if not path.startswith(TEMPLATE):
            text = file.read_text(encoding="utf-8")
            found.append(Module(path, text, ast.parse(text, path)))
    return found


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the repository."""
    return ROOT
