"""Errors of one attempt: each becomes the reason of a failed job.

FoundationsError
├── StartFailed            the worker or its interpreter cannot be started
│   └── EngineUnavailable  the container engine does not answer
├── RequirementsFailed     requirements.txt cannot be installed
└── PreparationStopped     the job was stopped while its environment was being built
"""

from __future__ import annotations

from foundations.errors import FoundationsError


class StartFailed(FoundationsError):
    """The worker, or the interpreter that it needs, cannot be started."""

    code = "start_failed"


class EngineUnavailable(StartFailed):
    """The container engine does not answer: it is tried again later."""


class RequirementsFailed(FoundationsError):
    """The job's requirements cannot be installed; the message is the installer's own."""

    code = "requirements_failed"


class PreparationStopped(FoundationsError):
    """The job was stopped while its environment was being built."""

    code = "stop_requested"
