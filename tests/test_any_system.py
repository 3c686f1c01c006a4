"""Logs are read on any system: Linux alone has none of what is taken away here."""

import json
import subprocess
import sys

import pytest
from kernel_logs import FIXTURES, ROOT, recorded

LOG = FIXTURES / "7.2.log.xz"
ELSEWHERE = """
import os, signal, sys
# The standard library and others' packages know how to do without; here they are as on Linux.
import bz2, json, lzma, multiprocessing, pathlib, selectors, shutil, subprocess, tempfile
import tabulate, typer, typer.main, typer.testing

class Missing:
    names = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "spwd",
             "curses", "readline", "_posixshmem", "_posixsubprocess", "psutil"}
    # Not «posix»: os itself is made of it here.

    def find_spec(self, name, path=None, target=None):
        if name in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in Missing.names & set(sys.modules):
    del sys.modules[name]
sys.meta_path.insert(0, Missing())

# What os and signal lack on Windows, and what only Linux has.
for name in '''fork forkpty register_at_fork getuid geteuid getgid getegid getgroups getresuid
        uname sysconf sysconf_names pread preadv pwrite pwritev posix_fadvise readv writev
        statvfs fstatvfs fchmod fchown chown mkfifo mknod pipe2 nice getpriority setsid getpgid
        getsid killpg wait wait3 wait4 waitid WNOHANG pidfd_open memfd_create eventfd sendfile
        splice copy_file_range sched_getaffinity sched_setaffinity sched_yield getrandom
        getxattr listxattr O_NONBLOCK O_DIRECTORY O_CLOEXEC O_NOFOLLOW O_PATH O_NOATIME
        O_NOCTTY posix_spawn openpty getloadavg'''.split():
    if hasattr(os, name):
        delattr(os, name)
for name in '''SIGKILL SIGALRM SIGCHLD SIGHUP SIGPIPE SIGUSR1 SIGWINCH setitimer alarm
        pthread_sigmask'''.split():
    if hasattr(signal, name):
        delattr(signal, name)
os.supports_dir_fd.clear()
sys.platform = "elsewhere"

def watch(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and arguments:
        path = os.fsdecode(arguments[0]) if isinstance(arguments[0], (str, bytes)) else ""
        if path.startswith(("/proc", "/sys")):
            raise FileNotFoundError(2, "No such file or directory", path)

sys.addaudithook(watch)
from oomlab.__main__ import run
sys.argv = ["oomlab", *sys.argv[1:]]
run()
"""


def elsewhere(*arguments, given=None):
    return subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *map(str, arguments)],
        input=given,
        capture_output=True,
        cwd=ROOT,
    )


def here(*arguments, given=None):
    return subprocess.run(
        [sys.executable, "-m", "oomlab", *map(str, arguments)],
        input=given,
        capture_output=True,
        cwd=ROOT,
    )


QUESTIONS = {
    "listing": ("report", LOG),
    "one event": ("report", LOG, "--event", "9"),
    "JSON": ("report", LOG, "--event", "9", "--format", "json"),
    "several files": ("report", "-r", FIXTURES),
    "rank": ("rank", "--from", LOG, "--event", "9"),
    "whatif": ("whatif", "--from", LOG, "--event", "9", "--pid", "266", "--adj", "-500"),
    "a saved snapshot": ("rank", "--from", "fixtures/example.json"),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_answer_is_the_same_where_nothing_of_linux_is_there(question):
    found = elsewhere(*QUESTIONS[question])
    assert (found.stderr, found.returncode) == (b"", 0)
    assert found.stdout == here(*QUESTIONS[question]).stdout
    assert len(found.stdout) > 200


def test_a_large_log_without_fork_and_a_log_from_a_pipe(tmp_path):
    path = tmp_path / "kern.log"
    path.write_bytes(b"Jun 20 12:47:02 db1 app[7]: nothing\n" * 600_000 + recorded("7.2"))
    large = elsewhere("report", path, "--format", "json")
    assert (large.stderr, large.returncode) == (b"", 0)
    assert large.stdout == here("report", path, "--format", "json").stdout
    piped = elsewhere("report", "-", "--format", "json", given=recorded("7.2"))
    assert len(json.loads(piped.stdout)["events"]) > 20


@pytest.mark.parametrize("command", ["rank", "explain 1", "scopes", "system", "suggest", "cascade"])
def test_the_running_machine_needs_linux_and_that_is_said(command):
    found = elsewhere(*command.split())
    assert (found.returncode, found.stdout) == (2, b"")
    assert b"needs Linux" in found.stderr
    assert found.stderr.count(b"\n") == 1
