"""How this program ends: its exit code, and the exception that ended it.

Nothing is hooked that others hook, too: the interpreter leaves an uncaught exception in `sys`, and
the frame of the main module tells whether it came to its last line. Only exit codes have to be
listened for, in `sys.exit` and `os._exit`, which are put back when the job is over.
"""

from __future__ import annotations

import os
import sys
from _weakref import ref

from foundations.execution import capture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, Callable, Dict, Optional

_LONGEST_TRACEBACK = 50_000
_LONGEST_MESSAGE = 2_000
INTERRUPTED = 130
# The interpreter's, that of sys.modules, our own, and the one by which they are counted.
_REFERENCES_TO_RUNPY = 4


class Ending:
    """How a program, or a part of one, ended; `exit_code` is None where nobody can tell."""

    __slots__ = ("error", "exit_code", "message")

    def __init__(
        self,
        exit_code: Optional[int],
        error: Optional[Dict[str, str]] = None,
        message: Optional[str] = None,
    ) -> None:
        self.exit_code = exit_code
        self.error = error
        self.message = message


class Listener:
    """Listens for the end of this process.

    `on_exit` is called with the code of an `os._exit`, which nothing else would tell of.
    """

    def __init__(self, frame: Optional[FrameType], on_exit: Callable[[Ending], None]) -> None:
        self._frame = frame
        self._on_exit = on_exit
        self._pid = os.getpid()
        self._asked: Optional[Ending] = None
        self._runpy: Optional[ref[Any]] = None
        self._exit = sys.exit
        self._leave = os._exit

    def start(self) -> None:
        """Begin to listen."""
        sys.exit = self._listening_exit()
        os._exit = self._listening_leave()
        capture.at_top_level = self._look_at_exception
        self._listen_to_runpy()

    def stop(self) -> None:
        """Put everything back as it was, unless others have put theirs over it."""
        if _is_ours(sys.exit):
            sys.exit = self._exit
        if _is_ours(os._exit):
            os._exit = self._leave
        capture.at_top_level = None
        self._runpy = None
        self._frame = None

    def ending(self) -> Ending:
        """Return how the program ends; called when the interpreter is about to."""
        try:
            return self._ending()
        except Exception:  # noqa: BLE001 - without memory or descriptors, say: it ends all the same
            return Ending(None)

    def _ending(self) -> Ending:
        frame = self._frame
        if frame is not None and _came_to_its_end(frame):
            return Ending(0)
        error = getattr(sys, "last_value", None)
        if isinstance(error, BaseException) and (frame is None or _has_left(error, frame)):
            return of_exception(error)
        # Not even the frame is known of a script that runs inside of a profiler, say.
        return self._asked or Ending(0 if frame is None else None)

    def _listening_exit(self) -> Any:
        original = self._exit

        def listening(*status: Any) -> None:
            try:
                original(*status)
            except SystemExit as asked:
                self._asked = of_exception(asked)
                raise

        return _in_place_of(original, listening)

    def _listening_leave(self) -> Any:
        original = self._leave

        def listening(status: int) -> None:
            if os.getpid() == self._pid:
                self._on_exit(Ending(int(status) & 0xFF))
            original(status)

        return _in_place_of(original, listening)

    def _listen_to_runpy(self) -> None:
        """Be told, too, when the main module of `python -m` has ended: nothing is flushed then.

        The interpreter lets go of the module `runpy` between that moment and the one at which it
        acts on the exception. Nobody else needs it; whoever imports it gets a new one.
        """
        caller = None if self._frame is None else self._frame.f_back
        if caller is None or caller.f_globals.get("__name__") != "runpy":
            return
        module = sys.modules.get("runpy")
        if module is None or sys.getrefcount(module) > _REFERENCES_TO_RUNPY:
            return
        self._runpy = ref(module, lambda _: self._look_at_exception())
        del sys.modules["runpy"]

    def _look_at_exception(self) -> None:
        try:
            self._find_exit()
        except Exception:  # noqa: BLE001 - the interpreter would take it for one of its flush
            return

    def _find_exit(self) -> None:
        """Find the SystemExit with which the main module was left.

        The interpreter flushes the streams between the end of the main module and the moment at
        which it acts on that exception; until then it is among the living objects, and nowhere
        else to be seen.
        """
        if self._frame is None or os.getpid() != self._pid or _came_to_its_end(self._frame):
            return
        import gc

        for error in gc.get_objects():
            # Until 3.11 an exception that nobody has caught does not know its traceback yet.
            if isinstance(error, SystemExit) and (
                error.__traceback__ is None or _has_left(error, self._frame)
            ):
                self._asked = of_exception(error)


def stay_interrupted() -> None:
    """Let the interpreter end as the Ctrl-C that it has seen asks: by that signal.

    It forgets what it has seen once any text is evaluated, and importing modules does that.
    """
    try:
        exec("raise KeyboardInterrupt")  # noqa: S102 - text is the point
    except KeyboardInterrupt:
        return


def of_exception(error: BaseException) -> Ending:
    """Return what an exception means that nobody catches."""
    if isinstance(error, SystemExit):
        code = error.code
        if code is None:
            return Ending(0)
        if isinstance(code, int):
            return Ending(code & 0xFF)
        return Ending(1, message=_shortened(_text(code)))
    described = described_exception(error)
    code = INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    name, text = described["type"], described["message"]
    return Ending(code, described, "{}: {}".format(name, text) if text else name)


def described_exception(error: BaseException) -> Dict[str, str]:
    """Return type, message and traceback of an exception as text."""
    import traceback

    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__", "__mp_main__"):
        name = "{}.{}".format(kind.__module__, name)
    try:
        lines = traceback.format_exception(kind, error, error.__traceback__)
    except Exception as problem:  # noqa: BLE001 - it is the user's own class that is asked
        lines = ["The traceback cannot be written: {!r}\n".format(problem)]
    text = "".join(lines)
    if len(text) > _LONGEST_TRACEBACK:
        half = _LONGEST_TRACEBACK // 2
        text = "{}\n...\n{}".format(text[:half], text[-half:])
    return {"type": name, "message": _shortened(_text(error)), "traceback": _readable(text)}


def _came_to_its_end(frame: FrameType) -> bool:
    """Whether the last instruction that a frame carried out was its return."""
    from opcode import opname

    if frame.f_lasti < 0:
        return False
    return opname[frame.f_code.co_code[frame.f_lasti]].startswith("RETURN")


def _has_left(error: BaseException, frame: FrameType) -> bool:
    """Whether an exception has passed through a frame."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame is frame:
            return True
        trace = trace.tb_next
    return False


def _in_place_of(original: Any, function: Any) -> Any:
    function.__name__ = function.__qualname__ = original.__name__
    function.__doc__ = original.__doc__
    function._atlas = True
    return function


def _is_ours(function: Any) -> bool:
    return getattr(function, "_atlas", False) is True


def _text(value: Any) -> str:
    try:
        return _readable(str(value))
    except Exception as problem:  # noqa: BLE001 - as above
        return "{} (its text cannot be had: {!r})".format(type(value).__name__, problem)


def _readable(text: str) -> str:
    """Return text that can travel: halves of surrogate pairs are replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + " ..."
