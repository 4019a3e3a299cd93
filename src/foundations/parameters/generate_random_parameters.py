"""Random search: draw one set of parameters from a space of them.

The module is called like its function because programs written for older versions of Atlas import
`foundations.parameters.generate_random_parameters.generate_random_parameters`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple


def generate_random_parameters(parameter_space: Dict[str, Any]) -> Dict[str, Any]:
    """Return `parameter_space` with each range in it replaced by a random draw.

    `{"min": a, "max": b}` becomes a float between a and b. With `min_count` and `max_count` (or
    `count_min`, `count_max`) it becomes a list of such floats whose length lies between the two,
    both included. Every other value is returned as it is. The draws come from Python's `random`:
    seed that to repeat them. Raises TypeError unless the space is a dict, ValueError for a length
    range that is upside down.
    """
    if not isinstance(parameter_space, dict):
        raise TypeError(
            "The parameter space should be a dictionary, not a {}.".format(
                type(parameter_space).__name__
            )
        )
    return {name: _draw(name, choice) for name, choice in parameter_space.items()}


def _draw(name: str, choice: Any) -> Any:
    import random

    if not (isinstance(choice, dict) and "min" in choice and "max" in choice):
        return choice
    low, high = choice["min"], choice["max"]
    counts = _counts(choice)
    if counts is None:
        return random.uniform(low, high)
    if counts[0] > counts[1] or counts[0] < 0:
        raise ValueError(
            'Parameter "{}" should have between {} and {} values, which is impossible.'.format(
                name, *counts
            )
        )
    return [random.uniform(low, high) for _ in range(random.randint(*counts))]


def _counts(choice: Dict[str, Any]) -> Optional[Tuple[int, int]]:
    for fewest, most in (("min_count", "max_count"), ("count_min", "count_max")):
        if fewest in choice and most in choice:
            return choice[fewest], choice[most]
    return None
