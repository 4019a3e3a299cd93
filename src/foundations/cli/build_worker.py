"""`foundations build-worker`: an image for jobs, with a project's requirements installed in it."""

from __future__ import annotations

import os
import re
import sys
import time

from foundations import config
from foundations.cli.output import Console, print_json
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

_EPILOG = """\
examples:
  foundations build-worker my_project
  foundations build-worker my_project --base pytorch/pytorch:latest --write
  foundations build-worker my_project --file Dockerfile --tag lab/vision:2"""


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        name,
        help=text,
        description="Build an image for jobs, with requirements.txt installed in it.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("folder", metavar="FOLDER", nargs="?", default=".", help="the project (default: here)")
    add("--base", metavar="IMAGE", help="what to install into (default: {})".format(_base()))
    add("--tag", metavar="NAME", help="the image's name (default: the project's)")
    add("--file", metavar="DOCKERFILE", help="build this instead; paths in it start at FOLDER")
    add("--network", metavar="NAME", help="build in this network; host: this machine's")
    add("--rebuild", action="store_true", help="install anew where nothing has changed, too")
    add("--write", action="store_true", help="put the image's name into job.config.yaml")
    add("--json", action="store_true", help="print the image as JSON, nothing else")
    add("--quiet", "-q", action="store_true", help="print the image's name and nothing else")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Build, tag, and say how to use it."""
    from foundations.cli.engine import connected, image_name

    folder = os.path.abspath(arguments.folder)
    if not os.path.isdir(folder):
        raise ConfigError("There is no folder {}.".format(folder), "Name the project's folder.")
    if arguments.file and (arguments.base or arguments.rebuild):
        raise ConfigError(
            "--file goes with neither --base nor --rebuild.", "The Dockerfile says what is built."
        )
    tag = image_name("--tag", arguments.tag or _name(folder))
    if "@" in tag or tag.startswith("sha256:"):
        raise ConfigError("--tag: a digest is no name to give.", "Write it as NAME or NAME:TAG.")
    console = Console(silent=arguments.quiet or arguments.json)
    with connected() as client:
        begin = time.monotonic()
        if arguments.file:
            image = _from_dockerfile(client, folder, tag, arguments, console)
        else:
            image = _from_requirements(client, folder, tag, arguments, console)
        size = image.attrs["Size"] / 1e6
        console.info("{} has {:.0f} MB ({:.0f} s).".format(tag, size, time.monotonic() - begin))
        _conclude(arguments, folder, tag, image)
    return 0


def _from_requirements(
    client: Any, folder: str, tag: str, arguments: argparse.Namespace, console: Console
) -> Any:
    from foundations.cli import image_requirements as requirements
    from foundations.cli import worker_image
    from foundations.cli.engine import base_image, image_name

    files = requirements.requirement_files(folder)
    base_name = image_name("--base", arguments.base or _base())
    environ = config.variables()
    environment, left_out = requirements.pip_environment(environ)
    if left_out:
        console.warning("pip is not given {}: folders of this machine.".format(", ".join(left_out)))
    base = base_image(client, base_name, console.info)
    key = requirements.key_of(base.id, files)
    if not arguments.rebuild and worker_image.is_up_to_date(client, tag, key):
        console.info("Nothing has changed since it was built; --rebuild installs anew.")
        return client.images.get(tag)
    console.info("Installing {} into {}.".format(requirements.REQUIREMENTS, base_name))
    with worker_image.WorkerBuild(client, base, base_name, arguments.network) as build:
        build.install(
            files,
            {**environment, **requirements.proxies(environ)},
            requirements.certificates(environ),
            lambda output: _show(output.decode(errors="replace"), console),
        )
        return build.keep(tag, key)


def _from_dockerfile(
    client: Any, folder: str, tag: str, arguments: argparse.Namespace, console: Console
) -> Any:
    from foundations.cli.image_requirements import proxies
    from foundations.cli.worker_image import build_dockerfile

    file = os.path.abspath(arguments.file)
    if not os.path.isfile(file):
        file = os.path.join(folder, arguments.file)
    if not os.path.isfile(file):
        raise ConfigError(
            "There is no Dockerfile {}.".format(arguments.file), "Its path starts here."
        )
    console.info("Building {}.".format(os.path.relpath(file)))
    return build_dockerfile(
        client, folder, file, tag, arguments.network, proxies(config.variables()),
        lambda output: _show(output, console),
    )  # fmt: skip


def _conclude(arguments: argparse.Namespace, folder: str, tag: str, image: Any) -> None:
    from foundations.cli.job_config_edit import line_to_write, set_worker_image

    written = set_worker_image(folder, tag) if arguments.write else None
    if arguments.json:
        print_json({"image": tag, "id": image.id, "size": image.attrs["Size"], "written": written})
    elif arguments.quiet:
        sys.stdout.write(tag + "\n")
    elif written:
        sys.stdout.write("{} names it now.\n".format(os.path.relpath(written)))
    else:
        path = os.path.relpath(os.path.join(folder, "job.config.yaml"))
        sys.stdout.write(
            "To run jobs in it, write in {} (or use --write):\n\n{}\n".format(
                path, line_to_write(tag, "  ")
            )
        )


def _show(output: str, console: Console) -> None:
    if not console.silent:
        sys.stdout.write(output)
        sys.stdout.flush()


def _base() -> str:
    """By itself the public image of the Python that runs this: what works here works in it."""
    named = config.environment_value("FOUNDATIONS_WORKER_BASE")
    return named or "python:{}.{}-slim".format(*sys.version_info[:2])


def _name(folder: str) -> str:
    """A name that an image can have, made of the project's."""
    project = str(config.job_config(folder).get("project_name") or os.path.basename(folder))
    clean = re.sub(r"[^a-z0-9]+", "-", project.lower()).strip("-")
    return (clean or "project") + "-worker"
