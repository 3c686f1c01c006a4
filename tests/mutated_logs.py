"""Small logs of every kernel, and everything that can happen to a log on its way."""

from __future__ import annotations

import random
import re
import resource
import time
from collections import Counter
from functools import cache

from kernel_logs import KERNELS, expected, one_event, read, understood

LONG_BYTES = 1 << 20
ALIKE = 8
"""Lines are of a kind if they begin alike, whatever their numbers."""
STUTTER_BYTES = 1 << 15
_BORDER = re.compile(rb"[ ,:=/()|\]\[-]+|(?<=\d)(?=\D)")
_TRACE = re.compile(rb"\+0x[0-9a-f]+/0x")


def _small(log: bytes) -> list[bytes]:
    """An event with three lines at most of each kind: rows, zones, statistics, addresses."""
    kept, seen = [], Counter()
    for line in log.splitlines(keepends=True):
        text = line.partition(b"] ")[2]
        kind = re.sub(rb"\d+", b"#", text)[:ALIKE] if b" " in text.strip() else b"(one word)"
        if re.fullmatch(rb"[a-z_0-9]+ \d+\n", text):
            kind = b"(statistic)"
        if _TRACE.search(text):
            kind = b"(address)"
        seen[kind] += 1
        if seen[kind] <= 3:
            kept.append(line)
    return kept


@cache
def small_logs() -> list[list[bytes]]:
    """Of each kernel one event of the machine, one of a cgroup, and both in one log."""
    found = []
    for kernel in KERNELS:
        names = [event["recording"] for event in expected(kernel)]
        chosen = {
            next((n for n in names if n.startswith(s)), names[0]) for s in ("global", "memcg")
        }
        events = [_small(one_event(kernel, name)) for name in sorted(chosen)]
        found += [*events, *events, [line for event in events for line in event]]
    return found


def _flip(rng: random.Random, lines: list[bytes], place: int) -> None:
    data = bytearray(lines[place])
    for _ in range(rng.choice((1, 1, 1, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    lines[place] = bytes(data)


def _double(_rng: random.Random, lines: list[bytes], place: int) -> None:
    lines.insert(place, lines[place])


def _drop(rng: random.Random, lines: list[bytes], place: int) -> None:
    del lines[place : place + rng.choice((1, 1, 3, 20))]


def _swap(rng: random.Random, lines: list[bytes], place: int) -> None:
    other = rng.randrange(len(lines))
    lines[place], lines[other] = lines[other], lines[place]


def _lengthen(rng: random.Random, lines: list[bytes], place: int) -> None:
    size = LONG_BYTES if rng.random() < 0.004 else rng.choice((80, 900, 3000))
    filler = rng.choice((b"a", b"7", b" ", b"x:1kB ", b"0*4kB ", b"(", b"[<", b"\0", b"\xff"))
    lines[place] = lines[place][:-1] + filler * (size // len(filler)) + b"\n"


def _stutter(rng: random.Random, lines: list[bytes], place: int) -> None:
    """Repeat one or a few fields of a line: what tries each border of each would not end."""
    line = lines[place]
    cuts = [0, *(m.end() for m in _BORDER.finditer(line)), len(line)]
    first = rng.randrange(len(cuts) - 1)
    last = min(len(cuts) - 1, first + rng.choice((1, 1, 2, 3)))
    piece = line[cuts[first] : cuts[last]].rstrip(b"\n") or b" "
    times = rng.choice((3, 300, STUTTER_BYTES)) // len(piece) + 1
    end = rng.choice((b"", b"", b"!", b"\xff"))
    lines[place] = (
        line[: cuts[first]] + piece * times + line[cuts[last] :].rstrip(b"\n") + end + b"\n"
    )


def _enlarge(rng: random.Random, lines: list[bytes], place: int) -> None:
    digit = b"%d" % rng.randrange(10)
    lines[place] = lines[place].replace(digit, digit * rng.choice((2, 9, 18, 40, 400)))


def _noise(rng: random.Random, lines: list[bytes], place: int) -> None:
    lines[place] = rng.randbytes(rng.randrange(200)) + b"\n"


def _cut(rng: random.Random, lines: list[bytes], place: int) -> None:
    lines[place] = lines[place][: rng.randrange(len(lines[place]))]


def _unwrap(_rng: random.Random, lines: list[bytes], place: int) -> None:
    lines[place] = lines[place].partition(b"] ")[2]


KINDS = (_flip, _double, _drop, _swap, _lengthen, _stutter, _enlarge, _noise, _cut, _unwrap)


def mutated(seed: int) -> bytes:
    """The log of a seed: one of the small ones, damaged."""
    rng = random.Random(seed)
    return damaged(rng.choice(small_logs()), rng)


def damaged(whole: list[bytes], rng: random.Random) -> bytes:
    """A log of these lines with one to five things done to it."""
    lines = list(whole)
    for _ in range(rng.randrange(1, 6)):
        place = rng.randrange(len(lines))
        if lines[place]:
            rng.choice(KINDS)(rng, lines, place)
        if not lines:
            break
    return b"".join(lines)


def worst_of(seeds: range) -> tuple[float, int, int]:
    """Read and understand the logs of these seeds: the longest seconds of CPU, its seed, and
    by how many kilobytes this process has grown.
    """
    small_logs()
    worst = (0.0, -1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in seeds:
        seconds = _seconds_of(seed)
        if seconds > worst[0] and seconds > 0.5:  # what else the machine did is no fault of ours
            seconds = min(seconds, _seconds_of(seed), _seconds_of(seed))
        worst = max(worst, (seconds, seed))
    return (*worst, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def _seconds_of(seed: int) -> float:
    log = mutated(seed)
    begun = time.process_time()
    try:
        understood(read(log))
    except Exception as error:
        raise AssertionError(f"mutated({seed})") from error
    return time.process_time() - begun
