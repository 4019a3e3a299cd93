"""`python -m foundations ...` is the command line `foundations ...`."""

from __future__ import annotations

from foundations.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
