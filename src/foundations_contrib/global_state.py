"""See `foundations.global_state`, where these live now."""

from __future__ import annotations

from foundations.global_state import FoundationsJob, current_foundations_job, foundations_job

__all__ = ["FoundationsJob", "current_foundations_job", "foundations_job"]
