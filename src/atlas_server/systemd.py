"""The systemd unit of this installation."""

from __future__ import annotations

import sys
from pathlib import Path

from atlas_server.config import ServerConfig

_UNIT = """\
[Unit]
Description=Atlas: scheduler and tracker of machine-learning experiments
Wants=network-online.target
After=network-online.target docker.service postgresql.service

[Service]
Type=exec
User={user}
Environment="FOUNDATIONS_HOME={home}"
ExecStart="{program}" start --foreground
Restart=on-failure
RestartSec=2
TimeoutStopSec=40
# Stopping and upgrading the server ends the server and no job.
KillMode=process
# A job that takes too much memory is ended, not the server with it.
OOMPolicy=continue
# Jobs with a memory limit get control groups of their own.
Delegate=yes
TasksMax=infinity
LimitNOFILE=65536
# Jobs run under this unit and must be able to do what they could from a shell: no private /tmp,
# devices, control groups or privileges here.
ProtectSystem=full
ProtectKernelTunables=yes
ProtectKernelLogs=yes
ProtectHostname=yes

[Install]
WantedBy=multi-user.target
"""


def unit(config: ServerConfig, user: str) -> str:
    """Return the unit that runs the server of this home as `user`."""
    program = Path(sys.executable).with_name("atlas-server")
    values = {"user": user, "home": config.home, "program": program}
    return _UNIT.format(**{name: str(value).replace("%", "%%") for name, value in values.items()})
