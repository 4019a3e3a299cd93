"""Module names of older versions, for the programs that import them."""
