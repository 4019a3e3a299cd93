"""What older versions offered under this name before it became `foundations.projects`."""

from __future__ import annotations

from foundations.results import get_metrics_for_all_jobs
from foundations.tracking import set_tag

__all__ = ["get_metrics_for_all_jobs", "set_tag"]
