"""Population-based training with jobs that a job submits: generations that learn from each other.

    foundations submit scheduler . evolve.py [GENERATIONS] [JOBS IN EACH]

Each member trains for a while from the weights of the parent that it was given. Of each generation
the better half goes on: with its own weights, and learning rates a little higher or lower.
"""

import random
import sys

import foundations


def train(learning_rate, parent):
    """Submit a member that goes on where its parent stopped; None: from the start."""
    params = {"learning_rate": learning_rate, "parent": parent}
    job = foundations.submit(
        scheduler_config="scheduler", command=["train.py"], params=params, num_cpus=0.5
    )
    return learning_rate, job


def main(generations, size):
    """Train generation after generation, and log the best loss of each."""
    chance = random.Random(7)
    members = [train(10 ** chance.uniform(-3, 0), None) for _ in range(size)]
    for generation in range(generations):
        scored = sorted((job.get_metric("loss"), rate, job.job_name()) for rate, job in members)
        loss, rate, name = scored[0]
        foundations.log_metric("loss", loss, step=generation)
        print(f"generation {generation}: loss {loss:.5f} by {name} at {rate:.4f}", flush=True)
        if generation + 1 < generations:
            best = scored[: max(1, size // 2)]
            members = [
                train(parent_rate * chance.choice([0.5, 1.0, 2.0]), parent)
                for _, parent_rate, parent in (best[n % len(best)] for n in range(size))
            ]
    foundations.set_tag("best", name)


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    main(*(numbers or [4, 4]))
