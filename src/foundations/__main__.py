"""`python -m foundations ...` is the command line `foundations ...`."""

from __future__ import annotations

from foundations.cli.main import script

if __name__ == "__main__":
    script()
