"""Fills a server with jobs to look at.

FOUNDATIONS_HOME=... .venv/bin/python gui/dev/seed.py [JOBS]
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import foundations

DEMO = Path(__file__).parent / "demo"
MODELS = ("resnet18", "resnet50", "convnext", "vit_small")


def main(jobs: int) -> None:
    """Submit `jobs` jobs to three projects: most end well, some fail, run on or wait."""
    chance = random.Random(7)
    for number in range(jobs):
        params = {
            "model": chance.choice(MODELS),
            "optimizer": {
                "name": chance.choice(("adam", "sgd")),
                "learning_rate": round(10 ** chance.uniform(-4, -0.2), 5),
                "weight_decay": chance.choice((0, 0.0001, 0.01)),
            },
            "batch_size": chance.choice((32, 64, 128, 256)),
            "augment": chance.random() < 0.5,
            "seed": chance.randrange(5),
            "epochs": chance.choice((10, 20, 40)),
        }
        if chance.random() < 0.12:
            params["crash"] = True
        submit("vision-baselines", params, name=f"sweep-{number:03d}", tags=_tags(chance))
    for number in range(max(2, jobs // 10)):
        submit("speech-commands", {"seed": number, "epochs": 12, "model": "conformer"})
    submit("segmentation", {"epochs": 500, "pause": 1.5, "seed": 3}, name="long-run")
    for number in range(5):
        submit(
            "segmentation",
            {"epochs": 400, "pause": 1, "seed": number},
            name=f"unet-{number}",
            num_cpus=2 if number == 1 else 1,
        )


def submit(
    project: str,
    params: dict[str, object],
    name: str | None = None,
    tags: list[str] | dict[str, str] | None = None,
    num_cpus: float = 1,
) -> None:
    """Queue one job of the demo folder."""
    foundations.submit(
        job_directory=str(DEMO),
        command=["main.py"],
        params=params,
        project_name=project,
        name=name,
        tags=tags,
        num_cpus=num_cpus,
        stream_job_logs=False,
    )


def _tags(chance: random.Random) -> dict[str, str]:
    found = {}
    if chance.random() < 0.3:
        found["baseline"] = ""
    if chance.random() < 0.4:
        found["dataset"] = chance.choice(("cifar10", "tiny-imagenet"))
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
