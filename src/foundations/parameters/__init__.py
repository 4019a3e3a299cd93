"""Parameters of jobs: flattening them for the table, drawing them at random for a search."""

from __future__ import annotations

from foundations.parameters import generate_random_parameters
from foundations.parameters.flattening import flatten_parameter_dictionary

__all__ = ["flatten_parameter_dictionary", "generate_random_parameters"]
