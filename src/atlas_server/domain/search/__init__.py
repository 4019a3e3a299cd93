"""Searches: the space, what is looked for in it, and when it is over."""
