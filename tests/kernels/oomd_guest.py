"""Inside the guest: Debian's systemd-oomd in dry-run mode, told by a false pid 1 what to monitor.

systemd tells it over a socket which cgroups have ManagedOOMSwap=kill; here we do. It answers on
its standard error whom it would kill, in its order.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path

PROGRAM = "/bin/systemd-oomd"
LIBRARIES = "/lib/oomd"
_SOCKET = Path("/run/systemd/io.system.ManagedOOM")
_CONF = Path("/etc/systemd/oomd.conf")
_LOG = Path("/ram/oomd.log")
_START_SECONDS = 20.0
_LOOK_SECONDS = 1.5
"""It looks at swap every 150 ms."""


def ask_oomd(monitored: str) -> list[str]:
    """Run systemd-oomd on a machine whose swap limit is passed; return what it said."""
    for directory in (_SOCKET.parent / "oom", _CONF.parent):
        directory.mkdir(parents=True, exist_ok=True)
    _CONF.write_text("[OOM]\nSwapUsedLimit=1%\n")
    _SOCKET.unlink(missing_ok=True)
    told = {"SYSTEMD_LOG_LEVEL": "debug", "SYSTEMD_LOG_TARGET": "console"}
    with socket.socket(socket.AF_UNIX) as server, _LOG.open("wb") as log:
        server.bind(str(_SOCKET))
        server.listen()
        server.settimeout(_START_SECONDS)
        environment = {**os.environ, **told, "LD_LIBRARY_PATH": LIBRARIES}
        process = subprocess.Popen([PROGRAM, "--dry-run"], stderr=log, env=environment)
        try:
            _answer(server, monitored)
            time.sleep(_LOOK_SECONDS)
        finally:
            process.kill()
            process.wait()
    return _LOG.read_text(errors="replace").splitlines()


def _answer(server: socket.socket, monitored: str) -> None:
    """Say what is monitored, as pid 1 does to SubscribeManagedOOMCGroups."""
    connection, _ = server.accept()
    while not connection.recv(4096).endswith(b"\0"):
        pass
    cgroup = {"mode": "kill", "path": monitored, "property": "ManagedOOMSwap"}
    reply = {"parameters": {"cgroups": [cgroup]}, "continues": True}
    connection.sendall(json.dumps(reply).encode() + b"\0")
    # Closed, it would connect anew: it is kept until the process that it is for has ended.
    _KEPT.append(connection)


_KEPT: list[socket.socket] = []
