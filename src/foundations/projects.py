"""Projects, under the module name that programs written for older versions import."""

from __future__ import annotations

from foundations.results import get_metrics_for_all_jobs
from foundations.tracking import set_project_name

__all__ = ["get_metrics_for_all_jobs", "set_project_name"]
