"""Which attempts go to Slurm as tasks of one array, and how each is found among them. Pure.

A task's number is by how much its attempt's number exceeds the one in the array's name. So whoever
sees a task in Slurm knows which attempt it is, and nothing has to be kept.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from atlas_server.domain.ports import Handle
from atlas_server.executors.slurm_script import Program, script
from foundations.contract.arrays import fold

_MARK = "array-"
_RANGE = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")
# Each node that runs one of its tasks is sent the script; Slurm takes four times as much.
_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Submission:
    """A batch job to submit: its options, and the program with its assignment.

    `attempt` is the number of one that may be a task of an array; None: it goes alone.
    """

    handle: Handle
    comment: str
    options: tuple[str, ...]
    program: Program
    assignment: Mapping[str, Any]
    attempt: int | None = None


def alike(orders: Sequence[Submission], span: int) -> list[Submission]:
    """Return the first, and those after it that can be tasks of the same array.

    `span` is how many numbers there are for tasks, from 0 on.
    """
    first = orders[0]
    if first.attempt is None or span < 2:
        return [first]
    return [
        each
        for each in orders
        if each.attempt is not None
        and each.attempt // span == first.attempt // span
        and each.options == first.options
        and each.program == first.program
    ]


def submitted(
    orders: Sequence[Submission], prefix: str, span: int
) -> tuple[list[str], str, dict[Handle, str]]:
    """Return how to submit them: the words, the script, and what follows the number of each."""
    first = orders[0]
    if first.attempt is None or len(orders) == 1:
        words = _words(first.handle, first.comment, first)
        return words, script(first.program, fold({0: first.assignment})[:1]), {first.handle: ""}
    name = array_of(first.attempt, prefix, span)
    tasks = {_number(each) % span: each for each in orders}
    listed = ranges(sorted(tasks))
    words = [*_words(name, listed, first), f"--array={listed}"]
    lines = fold({number: each.assignment for number, each in tasks.items()})
    places = {each.handle: f"_{number}" for number, each in tasks.items()}
    return words, script(first.program, lines), places


def fits(text: str) -> bool:
    """Whether a script is short enough for all that get it."""
    return len(text) <= _LONGEST


def array_of(attempt: int, prefix: str, span: int) -> str:
    """Return the name of the array that an attempt may be in."""
    return f"{prefix}{_MARK}{attempt - attempt % span}"


def members(number: str, name: str, prefix: str, comment: str) -> dict[Handle, str]:
    """Return which runners a row of Slurm's is about, with the number of each.

    `number` is "12" or "12_3", "12_[3-5,7%2]"; a "12" of an array stands for what never was a task
    of its own: of those that the comment lists.
    """
    array, _, tasks = number.partition("_")
    if not name.startswith(prefix + _MARK):
        return {name: array}
    first = int(name.rpartition("-")[2])
    numbers = _numbers(comment if tasks in ("", "N/A") else tasks)
    return {f"{prefix}{first + number}": f"{array}_{number}" for number in numbers}


def ranges(numbers: Sequence[int]) -> str:
    """Return numbers in ascending order as Slurm reads them: "3-5,8"."""
    found = []
    for _, group in itertools.groupby(enumerate(numbers), lambda item: item[1] - item[0]):
        run = [number for _, number in group]
        found.append(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}")
    return ",".join(found)


def _numbers(text: str) -> Iterator[int]:
    for first, last, step in _RANGE.findall(text.partition("%")[0]):
        yield from range(int(first), int(last or first) + 1, int(step or 1))


def _number(order: Submission) -> int:
    assert order.attempt is not None
    return order.attempt


def _words(name: str, comment: str, order: Submission) -> list[str]:
    return ["sbatch", f"--job-name={name}", f"--comment={comment}", *order.options]
