"""A random search as a loop: python search.py [NUMBER OF JOBS], in this folder.

space.yaml says the same as one file: foundations search start space.yaml
"""

import os
import random
import sys

os.environ["FOUNDATIONS_COMMAND_LINE"] = "True"  # this program itself is no job; not needed

import foundations

PARAM_RANGES = {
    "epochs": {"min": 5, "max": 40},
    "layer_shapes": {"min": 256, "max": 768, "count_min": 1, "count_max": 3},
    "early_stopping_tolerance": 0.01,
    "batch_size": [64, 128, 1024],
}


def draw(choice):
    """Return one value of a range, of a list, or the value itself."""
    if isinstance(choice, list):
        return random.choice(choice)
    if not isinstance(choice, dict):
        return choice
    if "count_min" not in choice:
        return random.randint(choice["min"], choice["max"])
    count = random.randint(choice["count_min"], choice["count_max"])
    return [random.randint(choice["min"], choice["max"]) for _ in range(count)]


for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 5):
    params = {name: draw(choice) for name, choice in PARAM_RANGES.items()}
    foundations.submit(scheduler_config="scheduler", command=["main.py"], params=params)
