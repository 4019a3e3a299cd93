"""Sizes, names and descriptions, so that a newcomer can guess where a line lives."""

from __future__ import annotations

import ast
from collections.abc import Iterator

MAX_MODULE_LINES = 350
MAX_FUNCTION_LINES = 45
NAMES_THAT_SAY_NOTHING = {
    "base", "common", "helper", "helpers", "manager", "misc", "tools", "util", "utils",
}  # fmt: skip

Described = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def test_modules_are_of_readable_size(modules):
    sizes = {module.path: len(module.text.splitlines()) for module in modules}
    assert {path: size for path, size in sizes.items() if size > MAX_MODULE_LINES} == {}


def test_functions_are_of_readable_size(modules):
    too_long = {}
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                # A migration is a list of what it creates.
                if lines > MAX_FUNCTION_LINES and "/migrations/" not in module.path:
                    too_long[f"{module.path}:{node.lineno} {node.name}"] = lines
    assert too_long == {}


def test_modules_are_named_for_their_subject(modules):
    named_for_nothing = [
        module.path
        for module in modules
        if set(module.path.removesuffix(".py").split("/")) & NAMES_THAT_SAY_NOTHING
    ]
    assert named_for_nothing == []


def test_what_is_public_is_described(modules):
    silent = []
    for module in modules:
        if module.text.strip() and not ast.get_docstring(module.tree):
            silent.append(module.path)
        silent += [
            f"{module.path}:{node.lineno} {node.name}"
            for node in _public(module.tree)
            if not ast.get_docstring(node)
        ]
    assert silent == []


def _public(parent: ast.Module | ast.ClassDef) -> Iterator[Described]:
    for node in parent.body:
        if isinstance(node, Described) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node)


def test_package_files_hold_no_logic(modules):
    offenders = [
        f"{module.path}:{node.lineno}"
        for module in modules
        if module.path.endswith("__init__.py")
        for node in module.tree.body
        if not _is_plain(node, lazy_names=module.is_in("foundations/"))
    ]
    assert offenders == []


def _is_plain(node: ast.stmt, lazy_names: bool) -> bool:
    if isinstance(node, ast.If):
        return ast.unparse(node.test).endswith("TYPE_CHECKING")
    if isinstance(node, ast.FunctionDef):
        # The SDK loads what a package offers when it is first used: importing it must cost nothing.
        return lazy_names and node.name in ("__getattr__", "__dir__")
    if isinstance(node, ast.Assign):
        return not any(isinstance(part, ast.Call) for part in ast.walk(node.value))
    return isinstance(node, ast.Import | ast.ImportFrom) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def test_nothing_is_left_for_later_in_the_code(root):
    words = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
    found = [
        f"{file.relative_to(root)}:{number}"
        for folder in ("src", "tests", "scripts", "examples")
        for file in sorted((root / folder).rglob("*.*"))
        if file.suffix in (".py", ".sh", ".yaml") and "tests/data" not in file.as_posix()
        for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1)
        if any(word in line.split() or word + ":" in line for word in words)
    ]
    assert found == []
