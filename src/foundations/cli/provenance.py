"""`foundations config show`: every setting that counts here, and where it comes from."""

from __future__ import annotations

import os

from foundations import config, credentials, network
from foundations.cli.output import print_json
from foundations.contract import environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    # setting, value, source
    Row = Tuple[str, Any, str]

_DEFAULT = "default"
_SET = "(set)"


def show(name: Optional[str], as_json: bool) -> int:
    """Print the settings of this user, and what the folder that we are in says of its jobs."""
    rows = [*_of_user(name), *_of_server(name), *_of_folder(os.getcwd())]
    if as_json:
        names = ("setting", "value", "source")
        print_json({"settings": [dict(zip(names, row)) for row in rows]})
        return 0
    from foundations.cli.tables import Column, print_table

    columns = [Column("SETTING"), Column("VALUE", least=16), Column("SOURCE", least=20)]
    print_table(columns, [[row[0], _shown(row[1]), row[2]] for row in rows])
    return 0


def _of_user(name: Optional[str]) -> List[Row]:
    rows: List[Row] = [
        ("home", config.home(), _first(environment.HOME)),
        ("user", config.user(), _first(environment.USER, "LOGNAME", "USER")),
    ]
    source = "command line" if name else _first("FOUNDATIONS_SCHEDULER")
    rows.append(("scheduler", name or config.default_scheduler(), source))
    streams = not config.streaming_disabled()
    rows.append(("stream_job_logs", streams, _first("DISABLE_LOG_STREAMING")))
    return rows


def _of_server(name: Optional[str]) -> List[Row]:
    scheduler = config.scheduler(name or config.default_scheduler(), os.getcwd())
    file = scheduler.path or _DEFAULT
    url, source = scheduler.url, file
    if scheduler.is_local:
        state = config.server_state(config.home())
        if state is not None:
            url, source = state["url"], os.path.join(config.home(), "run", "server.json")
    rows: List[Row] = [("scheduler_url", url, source)]
    if url.startswith("https://"):
        rows.append(_certificates(scheduler, file))
    if scheduler.worker:
        rows.append(("worker", scheduler.worker, file))
    from foundations.client.address import Address

    address = Address(url)
    proxy = None
    if address.scheme != "unix":
        proxy = network.proxy_for(address.scheme, address.host, address.port)
    rows.append(("proxy", proxy.shown if proxy else None, proxy.variable if proxy else _DEFAULT))
    rows.append(("token", *_token(url)))
    return rows


def _certificates(scheduler: config.SchedulerConfig, file: str) -> Row:
    if scheduler.ca_file:
        return "ca_file", scheduler.ca_file, file
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        value = config.environment_value(name)
        if value:
            return "ca_file", value, name
    return "ca_file", network.system_bundle(), "the system"


def _token(url: str) -> Tuple[Optional[str], str]:
    """Whether there is one, and from where; itself it is shown nowhere."""
    if config.environment_value(environment.TOKEN):
        return _SET, environment.TOKEN
    home = config.home()
    if credentials.key_of(url) in credentials.load(home):
        return _SET, os.path.join(home, "credentials.json")
    if credentials.find(home, url):
        return _SET, os.path.join(home, "credentials.yaml")
    return None, "foundations login has kept none"


def _of_folder(folder: str) -> List[Row]:
    """What job.config.yaml here says of jobs that are submitted from here."""
    path = os.path.join(folder, environment.CONFIG_FILE)
    values: Dict[str, Any] = config.job_config(folder)
    project = values.pop("project_name", None)
    rows: List[Row] = [
        ("project_name", project or os.path.basename(folder), path if project else "the folder")
    ]
    return [*rows, *((key, value, path) for key, value in sorted(values.items()))]


def _first(*names: str) -> str:
    """The first of these variables that is set."""
    return next((name for name in names if config.environment_value(name)), _DEFAULT)


def _shown(value: Any) -> str:
    import json

    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)
