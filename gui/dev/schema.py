"""Writes gui/src/api/schema.d.ts from the server's OpenAPI, for `make gui-types`.

With `--check` it only says whether the file is what it would write.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "gui" / "src" / "api" / "schema.d.ts"


def main() -> None:
    """Write the file, or compare it."""
    with tempfile.TemporaryDirectory() as folder:
        described, written = Path(folder, "openapi.json"), Path(folder, "schema.d.ts")
        described.write_text(json.dumps(_openapi()))
        subprocess.run(
            [
                sys.executable, str(ROOT / "gui" / "build.py"),
                "run", "--silent", "schema", "--", str(described), "--output", str(written),
            ],
            check=True,
        )  # fmt: skip
        new = written.read_text()
    if "--check" in sys.argv and (not SCHEMA.exists() or SCHEMA.read_text() != new):
        sys.exit("gui/src/api/schema.d.ts is not what the server answers: make gui-types")
    SCHEMA.write_text(new)


def _openapi() -> dict[str, object]:
    """What a server says of itself, without the parts that runners talk to."""
    from tests.live import LiveServer  # noqa: PLC0415 - after the path is set

    with tempfile.TemporaryDirectory() as home, LiveServer(Path(home)) as server:
        import urllib.request  # noqa: PLC0415 - small tool

        address = server.url + "/api/v1/openapi.json"
        with urllib.request.urlopen(address) as answer:  # noqa: S310 - our own server
            return dict(json.load(answer))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
