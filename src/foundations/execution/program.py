"""What this interpreter runs: a user's script, an interactive session, or a tool.

Only a user's script is a job by being run. A tool that imports a user's code, as pytest, linters,
servers and installers do, is none.
"""

from __future__ import annotations

import builtins
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, List, Optional

# A script or module of the user's, run directly.
SCRIPT = "script"
# A notebook's kernel, IPython, the interpreter's own prompt.
INTERACTIVE = "interactive"
# Everything else.
TOOL = "tool"
# `python -m` has not yet loaded what it is to run.
UNDECIDED = "undecided"

_OURS = ("foundations", "foundations_contrib", "atlas_runner", "atlas_server")
_INSTALLED = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)
_TOOLS = ("setup.py", "conftest.py", "noxfile.py")
# Programs by which editors run tests and consoles.
_EDITORS = ("_jb_", "_pydev", "pydev")


class Program:
    """What is run.

    kind      one of the constants above
    path      a script's file, absolute; else ""
    module    what followed `python -m`; else None
    words     the command line after the interpreter, as the program sees it
    """

    __slots__ = ("kind", "module", "path", "words")

    def __init__(
        self,
        kind: str,
        path: str = "",
        module: Optional[str] = None,
        words: Optional[List[str]] = None,
    ) -> None:
        self.kind = kind
        self.path = path
        self.module = module
        self.words = words or []


def look() -> Program:
    """Return what this interpreter runs."""
    main = sys.modules.get("__main__")
    if main is None or _is_worker():
        return Program(TOOL)
    if hasattr(builtins, "__IPYTHON__") or hasattr(sys, "ps1"):
        return Program(INTERACTIVE)
    file = getattr(main, "__file__", None)
    first = sys.argv[0] if sys.argv else ""
    if not file:
        # `python -m`, while it imports the packages around its module; `-c`, or standard input.
        return Program(UNDECIDED if first == "-m" else TOOL)
    path = os.path.abspath(file)
    module = _module_of(main)
    if module is not None and module.partition(".")[0] in _OURS:
        return Program(TOOL)
    if not _is_tool(path):
        return Program(SCRIPT, path, module, _words(path, module))
    # A profiler or debugger that runs a script inside of itself passes on its arguments.
    given = os.path.abspath(first) if first.endswith(".py") else path
    if given != path and os.path.isfile(given) and not _is_tool(given):
        return Program(SCRIPT, given, None, _words(given, None))
    return Program(TOOL)


def frame_of_main() -> Optional[FrameType]:
    """Return the frame in which the main module's own lines run, while they do."""
    main = sys.modules.get("__main__")
    scope: Any = getattr(main, "__dict__", None)
    found = None
    for innermost in sys._current_frames().values():  # pyright: ignore[reportPrivateUsage]
        frame: Optional[FrameType] = innermost
        while frame is not None:
            if frame.f_globals is scope and frame.f_code.co_name == "<module>":
                found = frame
            frame = frame.f_back
    return found


def notebook() -> Optional[str]:
    """Return the file of the notebook whose kernel this is, where the server or editor tells."""
    main = sys.modules.get("__main__")
    for path in (getattr(main, "__vsc_ipynb_file__", None), os.environ.get("JPY_SESSION_NAME")):
        if isinstance(path, str) and path.endswith(".ipynb"):
            return path
    return None


def _is_worker() -> bool:
    """Whether `multiprocessing` has started this process: its parent is the program."""
    if getattr(sys.modules.get("__main__"), "__name__", "") == "__mp_main__":
        return True
    process = sys.modules.get("multiprocessing.process")
    return process is not None and getattr(process, "_parent_process", None) is not None


def _module_of(main: Any) -> Optional[str]:
    spec = getattr(main, "__spec__", None)
    name = getattr(spec, "name", None)
    # Of a folder or archive that is run as a program the module is __main__: no name to run it by.
    return name if name and name != "__main__" else None


def _words(path: str, module: Optional[str]) -> List[str]:
    if module is None:
        return [path, *sys.argv[1:]]
    # `python -m package` runs its module __main__.
    name = module[: -len(".__main__")] if module.endswith(".__main__") else module
    return ["-m", name, *sys.argv[1:]]


def _is_tool(path: str) -> bool:
    """Whether a program was installed, or is known to run others' code."""
    name = os.path.basename(path)
    if name in _TOOLS or name.startswith(_EDITORS) or any(part in path for part in _INSTALLED):
        return True
    if ("unittest" in sys.modules or "pytest" in sys.modules) and _is_test(name):
        return True
    folder = os.path.dirname(path)
    if not name.endswith(".py") and folder in _program_folders():
        return True
    return os.path.realpath(path).startswith(_library())


def _is_test(name: str) -> bool:
    return name.startswith("test_") or name.endswith("_test.py")


def _program_folders() -> List[str]:
    """Return where installers put the commands of packages."""
    prefixes = [sys.prefix, sys.base_prefix, "/usr", "/usr/local", os.path.expanduser("~/.local")]
    found = [os.path.join(prefix, name) for prefix in prefixes for name in ("bin", "Scripts")]
    return [*found, os.path.dirname(sys.executable), "/bin"]


def _library() -> str:
    return os.path.join(os.path.dirname(os.path.realpath(os.__file__)), "")
