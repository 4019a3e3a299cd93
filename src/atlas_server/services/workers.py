"""Where a job runs: in a container of its own image or of the server's, or as a process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from atlas_server.domain.records import JobRecord
from atlas_server.services.permissions import Permissions
from foundations.contract.images import PROCESS
from foundations.contract.spec import JobSpec, Resources
from foundations.contract.worker import INTERNAL, Worker, is_container, read_worker
from foundations.errors import ConfigError, FoundationsError, InvalidRequest


class Workers:
    """What this server makes of the worker blocks of jobs.

    `default_image` is for jobs that name none; None: they run as processes. `engine_problem`
    returns why a job that runs in a container cannot be run here, None where it can.
    """

    def __init__(
        self,
        default_image: str | None = None,
        permissions: Permissions | None = None,
        engine_problem: Callable[[JobSpec], FoundationsError | None] = lambda _: None,
    ) -> None:
        self._default_image = default_image
        self._permissions = permissions or Permissions()
        self._engine_problem = engine_problem

    def settled(self, spec: JobSpec) -> JobSpec:
        """Return the spec with its worker block read. Raises InvalidRequest or Refused.

        `worker` then has options of the container, and an image where the job runs in one; what
        else a block can say stands where a spec has it.
        """
        try:
            worker = read_worker(spec.worker)
        except ConfigError as error:
            raise InvalidRequest(error.message, error.hint) from error
        command = spec.command or worker.command or []
        entrypoint = spec.entrypoint or worker.entrypoint
        if not command and not entrypoint and not is_container(worker.options):
            raise InvalidRequest(
                "The job has no command.", "Name the script to run, as in `main.py`."
            )
        spec = replace(
            spec,
            command=command,
            entrypoint=entrypoint,
            environment={**worker.environment, **spec.environment},
            resources=_resources(spec.resources, worker),
            worker=self._permissions.granted(self._placed(worker.options)),
        )
        _check_memory(spec)
        problem = self._engine_problem(spec) if is_container(spec.worker) else None
        if problem is not None:
            raise problem
        return spec

    def _placed(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return options with an image where the job runs in one, and without where it does not."""
        image = options.get("image", self._default_image or PROCESS)
        rest = {name: value for name, value in options.items() if name != "image"}
        return rest if image == PROCESS else {"image": image, **rest}


def repeated(job: JobRecord, spec: JobSpec, *, same_worker: bool) -> tuple[JobSpec, dict[str, str]]:
    """Return what a rerun of `job` asks for, to be settled, and what to add to its worker then.

    With the same worker a process stays one, and an image is the very same, whatever its name
    stands for now.
    """
    worker = {name: value for name, value in spec.worker.items() if name not in INTERNAL}
    if not same_worker:
        return replace(spec, worker=worker), {}
    if not is_container(worker):
        return replace(spec, worker={**worker, "image": PROCESS}), {}
    return replace(spec, worker=worker), _pin(job, worker["image"])


def _pin(job: JobRecord, image: str) -> dict[str, str]:
    """Return the image that the job ran in, or was to run in where it never did."""
    found = (job.environment or {}).get("image")
    if not found:
        kept = job.spec["worker"]
        return {name: kept[name] for name in ("image_id", "image_digest") if name in kept}
    pin = {"image_id": found["id"]}
    digests = found.get("digests") or []
    if digests:
        repository = image.partition("@")[0].rpartition(":")[0]
        pin["image_digest"] = next(
            (one for one in digests if one.startswith(repository + "@")), digests[0]
        )
    return pin


def _resources(asked: Resources, worker: Worker) -> Resources:
    """Return what a job asks for: the worker block counts where the spec itself says nothing."""
    if worker.memory is not None and asked.memory is None:
        asked = replace(asked, memory=worker.memory)
    if worker.cpus is not None and asked.cpu_limit is None:
        unsaid = asked.cpus == Resources.cpus
        asked = replace(asked, cpu_limit=worker.cpus, cpus=worker.cpus if unsaid else asked.cpus)
    if worker.gpus and not asked.gpus:
        asked = replace(asked, gpus=worker.gpus)
    return asked


def _check_memory(spec: JobSpec) -> None:
    memory = spec.resources.memory
    swap = spec.worker.get("memswap_limit", -1)
    if swap != -1 and (memory is None or swap < memory):
        raise InvalidRequest(
            "worker.memswap_limit is memory and swap together: it goes with ram, and is no less."
        )
    if memory is not None and spec.worker.get("mem_reservation", 0) > memory:
        raise InvalidRequest("worker.mem_reservation must not be more than ram.")
