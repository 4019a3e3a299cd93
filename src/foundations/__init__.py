"""Atlas: submit, schedule and track machine-learning experiments.

Importing this package in a script that is run by hand makes the script a job, without a scheduler
and without a server: docs/tracking.md says when, and how to turn it off. Besides that it defines
names: each is loaded from its module the first time it is used.
"""

from __future__ import annotations

from foundations._version import __version__
from foundations.execution import startup as _startup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List

    from foundations import artifacts, config, global_state, job_parameters, parameters, projects
    from foundations.artifacts.syncable_directory import (
        create_syncable_directory,
        set_tensorboard_logdir,
    )
    from foundations.context import current as current_job
    from foundations.explicit import as_job, start_job
    from foundations.global_state import current_foundations_job
    from foundations.job import Deployment
    from foundations.job import Deployment as DeploymentWrapper
    from foundations.parameters.flattening import flatten_parameter_dictionary
    from foundations.parameters.generate_random_parameters import generate_random_parameters
    from foundations.results import get_metrics_for_all_jobs
    from foundations.searching import Search, search
    from foundations.submission import set_job_resources, submit, submit_many
    from foundations.tracking import (
        load_parameters,
        log_metric,
        log_metrics,
        log_param,
        log_params,
        save_artifact,
        set_project_name,
        set_tag,
        set_tags,
    )

__all__ = [
    "Deployment",
    "DeploymentWrapper",
    "Search",
    "__version__",
    "artifacts",
    "as_job",
    "config",
    "create_syncable_directory",
    "current_foundations_job",
    "current_job",
    "flatten_parameter_dictionary",
    "generate_random_parameters",
    "get_metrics_for_all_jobs",
    "global_state",
    "job_parameters",
    "load_parameters",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "parameters",
    "projects",
    "save_artifact",
    "search",
    "set_job_resources",
    "set_project_name",
    "set_tag",
    "set_tags",
    "set_tensorboard_logdir",
    "start_job",
    "submit",
    "submit_many",
]

# Public name -> "module:name in it". A public function must not be called like a module of this
# package: importing the module would put it in the function's place.
_HOMES = {
    "Deployment": "foundations.job:Deployment",
    "DeploymentWrapper": "foundations.job:Deployment",
    "Search": "foundations.searching:Search",
    "artifacts": "foundations.artifacts:",
    "config": "foundations.config:",
    "create_syncable_directory": (
        "foundations.artifacts.syncable_directory:create_syncable_directory"
    ),
    "current_foundations_job": "foundations.global_state:current_foundations_job",
    "as_job": "foundations.explicit:as_job",
    "current_job": "foundations.context:current",
    "flatten_parameter_dictionary": "foundations.parameters:flatten_parameter_dictionary",
    "generate_random_parameters": (
        "foundations.parameters.generate_random_parameters:generate_random_parameters"
    ),
    "get_metrics_for_all_jobs": "foundations.results:get_metrics_for_all_jobs",
    "global_state": "foundations.global_state:",
    "job_parameters": "foundations.job_parameters:",
    "load_parameters": "foundations.tracking:load_parameters",
    "log_metric": "foundations.tracking:log_metric",
    "log_metrics": "foundations.tracking:log_metrics",
    "log_param": "foundations.tracking:log_param",
    "log_params": "foundations.tracking:log_params",
    "parameters": "foundations.parameters:",
    "projects": "foundations.projects:",
    "save_artifact": "foundations.tracking:save_artifact",
    "search": "foundations.searching:search",
    "set_job_resources": "foundations.submission:set_job_resources",
    "set_project_name": "foundations.tracking:set_project_name",
    "set_tag": "foundations.tracking:set_tag",
    "set_tags": "foundations.tracking:set_tags",
    "set_tensorboard_logdir": "foundations.artifacts.syncable_directory:set_tensorboard_logdir",
    "start_job": "foundations.explicit:start_job",
    "submit": "foundations.submission:submit",
    "submit_many": "foundations.submission:submit_many",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError("module 'foundations' has no attribute {!r}".format(name))
    from importlib import import_module

    _startup.decide()
    module_name, _, attribute = home.partition(":")
    module = import_module(module_name)
    value = getattr(module, attribute) if attribute else module
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return sorted(set(globals()) | set(__all__))
