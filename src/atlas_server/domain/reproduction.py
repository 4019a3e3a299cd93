"""What to type to run a job again."""

from __future__ import annotations

import json
from shlex import join, quote
from typing import Any

from atlas_server.domain.records import JobRecord

_GIGABYTE = 1024**3


def rerun_command(job: JobRecord) -> str:
    """The command that runs the very same again, on this server."""
    return f"foundations rerun {job.job_id}"


def submit_commands(job: JobRecord) -> str:
    """The commands that fetch the code and submit it with the same settings, anywhere."""
    folder = f"job-{job.job_id[:8]}"
    words = ["foundations", "submit", "--project-name", job.project, *_options(job)]
    words += ["scheduler", folder, *job.spec["command"]]
    return f"foundations get job {job.job_id} --source_dir {folder}\n{join(words)}"


def _options(job: JobRecord) -> list[str]:
    spec, asked = job.spec, job.resources
    options: list[tuple[str, Any]] = [
        ("--name", spec["name"]),
        ("--num-cpus", f"{asked.cpus:g}" if asked.cpus != 1 else None),
        ("--num-gpus", f"{asked.gpus:g}" if asked.gpus else None),
        ("--ram", _amount(asked.memory) if asked.memory else None),
        ("--image", spec["worker"].get("image")),
        ("--params", json.dumps(spec["params"]) if spec["params"] else None),
        ("--priority", job.priority or None),
        ("--timeout", f"{job.timeout:g}" if job.timeout else None),
        ("--retries", job.retries or None),
        ("--entrypoint", join(spec["entrypoint"]) if spec["entrypoint"] else None),
    ]
    words = [word for name, value in options if value for word in (name, str(value))]
    for key, value in spec["tags"].items():
        words += ["--tag", f"{key}={value}" if value else key]
    for name, value in spec["environment"].items():
        # What looks secret is not shown: it is taken from where the command is typed.
        words += ["--env", name if set(value) == {"*"} else f"{name}={value}"]
    return words


def _amount(memory: int) -> str:
    return f"{memory // _GIGABYTE}GB" if memory % _GIGABYTE == 0 else quote(str(memory))
