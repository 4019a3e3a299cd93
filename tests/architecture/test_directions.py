"""Who may import or touch what, beyond the layers of .importlinter."""

from __future__ import annotations

import ast
import sys

# `_sha2` belongs to it from Python 3.12 on.
STANDARD_LIBRARY = sys.stdlib_module_names | {"_sha2"}

# The one third-party package that a module of the SDK may import, and only inside a function.
LATE_IN_SDK = {
    "foundations/yaml_files.py": "yaml",
}

# What the server may know of the SDK: the wire, and the rules of folders and contents.
SDK_FOR_SERVER = (
    "_version",
    "blobs",
    "disk",
    "locks",
    "bundle",
    "contract",
    "errors",
    "host_settings",
)

# Everything `foundations submit` loads starts within a few interpreter starts: these cost too much.
HOT_PATH = (
    "foundations/__init__.py",
    "foundations/__main__.py",
    "foundations/_version.py",
    "foundations/blobs.py",
    "foundations/bundle/",
    "foundations/cli/main.py",
    "foundations/client/",
    "foundations/config.py",
    "foundations/errors.py",
    "foundations/network.py",
    "foundations/scheduler_files.py",
    "foundations/sending.py",
    "foundations/specification.py",
    "foundations/submission.py",
    "foundations/yaml_files.py",
)
SLOW_TO_IMPORT = {
    "argparse", "dataclasses", "enum", "http", "importlib", "inspect", "logging", "pathlib",
    "subprocess", "tempfile", "typing", "urllib",
}  # fmt: skip

READERS_OF_THE_ENVIRONMENT = (
    "foundations/config.py",
    "foundations/context.py",
    "foundations/network.py",  # proxies, and where certificates are
    "foundations/cli/",      # NO_COLOR and the terminal
    "foundations/execution/",  # which program this is, and what its children inherit
    "atlas_server/config.py",
    "atlas_runner/",         # hands its own environment on to the worker
)  # fmt: skip


def test_the_sdk_imports_only_the_standard_library(modules):
    offenders = [
        f"{module.path}:{line} imports {name}"
        for module in modules
        if module.is_in("foundations/") and not module.is_in("foundations/cli/")
        for name, line, late in module.imports()
        if (package := name.split(".")[0]) not in STANDARD_LIBRARY | {"foundations"}
        and not (late and LATE_IN_SDK.get(module.path) == package)
    ]
    assert offenders == []


def test_the_command_line_imports_other_packages_late(modules):
    offenders = [
        f"{module.path}:{line} imports {name}"
        for module in modules
        if module.is_in("foundations/cli/")
        for name, line, late in module.imports()
        if name.split(".")[0] not in STANDARD_LIBRARY | {"foundations"} and not late
    ]
    assert offenders == []


def test_what_submit_loads_imports_nothing_slow(modules):
    offenders = [
        f"{module.path}:{line} imports {name}"
        for module in modules
        if module.is_in(*HOT_PATH)
        for name, line, late in module.imports()
        if name.split(".")[0] in SLOW_TO_IMPORT and not late
    ]
    assert offenders == []


def test_the_server_uses_only_the_wire_part_of_the_sdk(modules):
    offenders = [
        f"{module.path}:{line} imports {name}"
        for module in modules
        if module.is_in("atlas_server/")
        for name, line, _ in module.imports()
        if name.split(".")[0] == "foundations"
        and name.split(".")[1:2]
        and name.split(".")[1] not in (*SDK_FOR_SERVER, "__version__")
    ]
    assert offenders == []


def test_only_the_executor_of_this_machine_knows_the_runner(modules):
    # It finds runners again by their process, what they left in the container engine, and jobs
    # that run without it, and environments; all others start an argv somewhere else. The server's
    # start provides the SDK that jobs import.
    here = ("arrivals", "containers", "environments", "local", "surroundings")
    of_this_machine = {
        "atlas_server/serve.py",
        *(f"atlas_server/executors/{name}.py" for name in here),
    }
    offenders = [
        f"{module.path}:{line} imports {name}"
        for module in modules
        if module.is_in("atlas_server/") and not any(map(module.is_in, of_this_machine))
        for name, line, _ in module.imports()
        if name.split(".")[0] == "atlas_runner"
    ]
    assert offenders == []


def test_sql_is_written_only_in_the_store(modules):
    # Use cases hand the store's open transaction on; its type is all they know of SQLAlchemy.
    offenders = [
        f"{module.path}:{line} imports {name}"
        for module in modules
        if not module.is_in("atlas_server/store/")
        for name, line, _ in module.imports()
        if name.split(".")[0] in ("sqlalchemy", "alembic", "sqlite3")
        and not (module.is_in("atlas_server/services/") and name == "sqlalchemy.Connection")
    ]
    assert offenders == []


def test_a_job_changes_its_state_in_one_place(modules):
    callers = {
        module.path
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "transition"
    }
    assert callers <= {"atlas_server/services/jobs.py"}


def test_the_environment_is_read_where_settings_are(modules):
    names = {"os.environ", "os.getenv", "os.environb", "os.putenv"}
    offenders = [
        f"{module.path}:{node.lineno}"
        for module in modules
        if not module.is_in(*READERS_OF_THE_ENVIRONMENT)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in names
    ]
    offenders += [
        f"{module.path}:{line}"
        for module in modules
        if not module.is_in(*READERS_OF_THE_ENVIRONMENT)
        for name, line, _ in module.imports()
        if name in names
    ]
    assert offenders == []


def test_the_rules_of_the_domain_ask_no_clock_and_roll_no_dice(modules):
    offenders = [
        f"{module.path}:{line} imports {name}"
        for module in modules
        if module.is_in("atlas_server/domain/", "foundations/contract/")
        for name, line, _ in module.imports()
        if name.split(".")[0]
        in ("datetime", "os", "pathlib", "random", "shutil", "socket", "subprocess", "time", "uuid")
    ]
    assert offenders == []
