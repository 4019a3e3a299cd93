"""Parameters, under the module name that programs written for older versions import."""

from __future__ import annotations

from foundations.parameters.flattening import flatten_parameter_dictionary
from foundations.tracking import load_parameters, log_param, log_params

__all__ = ["flatten_parameter_dictionary", "load_parameters", "log_param", "log_params"]
