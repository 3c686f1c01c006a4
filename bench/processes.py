"""Fork N processes that sleep, print "ready", and end when standard input closes."""

import os
import signal
import sys


def main() -> None:
    wanted = int(sys.argv[1])
    children = []
    for _ in range(wanted):
        pid = os.fork()
        if pid == 0:
            signal.pause()
            os._exit(0)
        children.append(pid)
    print("ready", flush=True)
    sys.stdin.read()
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    for pid in children:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
