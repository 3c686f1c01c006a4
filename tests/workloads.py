"""Generated workloads whose right verdict is known: what a process would show if watched.

Each takes a seed and nothing else; everything about it is drawn from ranges that were fixed
before the rules were tuned: 30 to 400 samples at 0.1 s to a minute apart with jitter, sizes of
5 MB to 8 GB, noise of none to 2 % of the level, independent or autocorrelated.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import NamedTuple

MB = 1 << 20
PAGE = 4096


class Workload(NamedTuple):
    """Times in seconds, and bytes by kind at each."""

    times: list[float]
    kinds: dict[str, list[int]]

    @property
    def total(self) -> list[int]:
        charged = [self.kinds[kind] for kind in ("anon", "file", "shmem", "swap")]
        return [sum(values) for values in zip(*charged, strict=True)]


class Frame(NamedTuple):
    rng: random.Random
    times: list[float]
    base: float
    sigma: float
    noise: list[float]


def frame(seed: int, what: str) -> Frame:
    rng = random.Random(f"{what} {seed}")
    count, interval = rng.randint(30, 400), rng.choice((0.1, 0.5, 1, 2, 5, 10, 30, 60))
    times, now = [], rng.uniform(0, 1e6)
    for _ in range(count):
        now += interval * rng.uniform(0.9, 1.1)
        times.append(now)
    base = math.exp(rng.uniform(math.log(5 * MB), math.log(8192 * MB)))
    sigma, memory = base * rng.choice((0, rng.uniform(0, 0.02))), rng.choice((0, 0.4, 0.8))
    noise, value = [], 0.0
    for _ in range(count):
        value = memory * value + rng.gauss(0, sigma * math.sqrt(1 - memory * memory))
        noise.append(value)
    return Frame(rng, times, base, sigma, noise)


def _paged(values: list[float]) -> list[int]:
    return [max(0, round(value / PAGE)) * PAGE for value in values]


def _kinds(f: Frame, **parts: list[float]) -> dict[str, list[int]]:
    """The noise is in the heap; a tenth of the base is file pages that never change."""
    flat = [0.0] * len(f.times)
    heap = [v + n for v, n in zip(parts.get("heap", flat), f.noise, strict=True)]
    found = {name: _paged(parts.get(name, flat)) for name in ("mmap", "shmem", "swap")}
    file = parts.get("file", [0.1 * f.base] * len(f.times))
    found |= {"heap": _paged(heap), "file": _paged(file)}
    anon = [a + b for a, b in zip(found["heap"], found["mmap"], strict=True)]
    return found | {"anon": anon}


def _progress(f: Frame) -> list[float]:
    """0 at the first sample, 1 at the last."""
    span = f.times[-1] - f.times[0]
    return [(time - f.times[0]) / span for time in f.times]


def _material(f: Frame, low: float, high: float) -> float:
    """A change that can be told from the noise: ``low`` to ``high`` times the base."""
    return max(f.base * f.rng.uniform(low, high), 10 * f.sigma, 2 * MB)


def steady(seed: int) -> Workload:
    f = frame(seed, "steady")
    return Workload(f.times, _kinds(f, heap=[f.base] * len(f.times)))


def leak(seed: int) -> Workload:
    """Linear, in one of the anonymous kinds; even, in stairs, or in random portions."""
    f = frame(seed, "leak")
    growth, manner = _material(f, 0.05, 4), f.rng.choice(("even", "stairs", "portions"))
    grown = _grown(f, manner)
    kind = f.rng.choice(("heap", "mmap"))
    values = [f.base * (kind == "heap") + growth * share for share in grown]
    parts = {kind: values}
    parts.setdefault("heap", [f.base] * len(f.times))
    return Workload(f.times, _kinds(f, **parts))


def _grown(f: Frame, manner: str) -> list[float]:
    progress = _progress(f)
    if manner == "stairs":
        stairs = f.rng.randint(8, 30)
        return [math.floor(share * stairs) / stairs for share in progress]
    if manner == "portions":
        portions = [f.rng.expovariate(1) for _ in progress]
        total, sums = sum(portions), 0.0
        grown = []
        for portion in portions:
            sums += portion
            grown.append(sums / total)
        return grown
    return progress


def sawtooth(seed: int) -> Workload:
    """Rises and falls back, three times or oftener, as a garbage collector's heap does."""
    f = frame(seed, "sawtooth")
    height, most = _material(f, 0.2, 3), min(12, len(f.times) // 8)
    teeth, phase = f.rng.randint(3, max(3, most)), f.rng.random()
    values = [f.base + height * ((share * teeth + phase) % 1.0) for share in _progress(f)]
    return Workload(f.times, _kinds(f, heap=values))


def fragmentation(seed: int) -> Workload:
    """The heap grows while what is in use of it does not."""
    f = frame(seed, "fragmentation")
    growth = _material(f, 0.1, 4)
    heap = [f.base + growth * share for share in _grown(f, f.rng.choice(("even", "stairs")))]
    in_use = [0.8 * f.base + f.rng.gauss(0, f.sigma / 2) for _ in f.times]
    kinds = _kinds(f, heap=heap)
    return Workload(f.times, kinds | {"in_use": _paged(in_use), "allocated": kinds["heap"]})


def spike(seed: int) -> Workload:
    """Level but for one spike, which is over before the last tenth."""
    f = frame(seed, "spike")
    height, count = _material(f, 0.2, 5), len(f.times)
    length = max(1, int(count * f.rng.uniform(0.01, 0.1)))
    start = int(count * f.rng.uniform(0.05, 0.75))
    values = [f.base + height * (start <= i < start + length) for i in range(count)]
    return Workload(f.times, _kinds(f, heap=values))


def warm_up(seed: int) -> Workload:
    """Grows at first, then stays."""
    f = frame(seed, "warm-up")
    growth, end = _material(f, 0.3, 4), f.rng.uniform(0.1, 0.45)
    values = [f.base + growth * min(1.0, share / end) for share in _progress(f)]
    return Workload(f.times, _kinds(f, heap=values))


def step(seed: int) -> Workload:
    """One jump to another level."""
    f = frame(seed, "step")
    height, at = _material(f, 0.2, 3), f.rng.uniform(0.1, 0.9)
    values = [f.base + height * (share >= at) for share in _progress(f)]
    return Workload(f.times, _kinds(f, heap=values))


def file_growth(seed: int) -> Workload:
    """A mapped file or tmpfs is read in, evenly."""
    f = frame(seed, "file")
    growth, kind = _material(f, 0.1, 4), f.rng.choice(("file", "shmem"))
    grown = [growth * share for share in _progress(f)]
    return Workload(f.times, _kinds(f, heap=[f.base] * len(f.times), **{kind: grown}))


def slowing(seed: int) -> Workload:
    """A cache that fills: ever slower, not yet full."""
    f = frame(seed, "slowing")
    growth, bend = _material(f, 0.5, 4), f.rng.uniform(2.0, 3.0)
    full = 1 - math.exp(-bend)
    values = [f.base + growth * (1 - math.exp(-bend * s)) / full for s in _progress(f)]
    return Workload(f.times, _kinds(f, heap=values))


def rising_teeth(seed: int) -> Workload:
    """A garbage collector's heap that leaks: each floor is higher than the one before."""
    f = frame(seed, "rising teeth")
    height = _material(f, 0.3, 2)
    teeth, phase = f.rng.randint(5, max(5, min(12, len(f.times) // 8))), f.rng.random()
    lift = height * f.rng.uniform(0.1, 0.3)
    values = []
    for share in _progress(f):
        place = share * teeth + phase
        values.append(f.base + height * (place % 1.0) + lift * place)
    return Workload(f.times, _kinds(f, heap=values))


def shrinking(seed: int) -> Workload:
    f = frame(seed, "shrinking")
    lost = min(_material(f, 0.1, 0.8), 0.95 * f.base)
    values = [f.base - lost * share for share in _progress(f)]
    return Workload(f.times, _kinds(f, heap=values))


WORKLOADS: dict[str, tuple[Callable[[int], Workload], frozenset[str]]] = {
    "steady": (steady, frozenset({"steady"})),
    "linear leak": (leak, frozenset({"leak-like"})),
    "sawtooth": (sawtooth, frozenset({"sawtooth"})),
    "fragmentation": (fragmentation, frozenset({"fragmentation-like"})),
    "one spike": (spike, frozenset({"steady"})),
    "warm-up": (warm_up, frozenset({"steady"})),
    "step": (step, frozenset({"steady"})),
    "file or shmem growth": (file_growth, frozenset({"growing"})),
    "slowing": (slowing, frozenset({"growing"})),
    "sawtooth with rising floor": (rising_teeth, frozenset({"leak-like"})),
    "shrinking": (shrinking, frozenset({"shrinking"})),
}
"""Each workload and the verdicts that are right for it."""
