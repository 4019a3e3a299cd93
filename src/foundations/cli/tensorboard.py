"""`foundations tensorboard JOB...`: a running TensorBoard over the jobs' files."""

from __future__ import annotations

import time

from foundations import config
from foundations.cli.output import Console, print_json
from foundations.cli.targets import REFERENCES, add_jobs, find_job, new_parser, open_jobs
from foundations.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

_EPILOG = (
    REFERENCES
    + """

A job's files are there when it calls
foundations.set_tensorboard_logdir(FOLDER); they are shown while it runs,
too.

examples:
  foundations tensorboard last
  foundations tensorboard 3f2a 77b0
  foundations tensorboard --detach last"""
)
_KEPT_EVERY = 30.0


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command."""
    parser = new_parser(
        subparsers,
        name,
        text,
        "Start a TensorBoard over the files of jobs, and keep it until Ctrl-C.",
        _EPILOG,
        "foundations tensorboard [options] [SCHEDULER] JOB ...",
    )
    add_jobs(parser, "the jobs")
    parser.add_argument(
        "--detach", action="store_true", help="return at once; it ends when nobody looks at it"
    )
    parser.add_argument("--json", action="store_true", help="print JSON; implies --detach")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Start it and print its address."""
    api, references = open_jobs(arguments)
    job_ids = [find_job(api, reference)["job_id"] for reference in references]
    session = api.open_tensorboard(job_ids)
    url = _pages(api.url) + session["path"]
    if arguments.json:
        print_json({**session, "url": url})
        return 0
    print(url, flush=True)
    if arguments.detach:
        return 0
    Console().info("TensorBoard runs until Ctrl-C.")
    try:
        while True:
            time.sleep(_KEPT_EVERY)
            api.keep_tensorboard(session["id"])
    except NotFound:
        Console().error("TensorBoard has ended.")
        return 1
    except KeyboardInterrupt:
        api.close()  # an answer may be on its way
        api.end_tensorboard(session["id"])
        return 0


def _pages(url: str) -> str:
    """Return where a browser finds the pages of a server that commands reach at `url`."""
    state = config.server_state(config.home())
    here = url.startswith("unix:") and state is not None and state.get("url") == url
    return str(state["gui_url"]) if here and state else url
