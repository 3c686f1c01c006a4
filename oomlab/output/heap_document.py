"""The JSON document of a heap: the figures of mallinfo2 by their names there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..analysis.heap import histogram, in_memory, parts, pin_words, pins
from ..analysis.heap_advice import advise
from ..glibc.heap import ArenaView, MallInfo, Survey

HEAP_SCHEMA = "oomlab.heap/1"
_LARGEST = 20


def heap_document(one: Survey, pid: int, name: str, beside: Sequence[str] = ()) -> dict[str, Any]:
    """Return the JSON document ``oomlab.heap/1``: bytes and counts as mallinfo(3) has them.

    ``beside`` are the allocators that the process has for itself beside malloc.
    """
    whole, known, total = parts(one), in_memory(one), one.total
    parameters = one.parameters
    return {
        "schema": HEAP_SCHEMA,
        "pid": pid,
        "comm": name,
        "glibc": ".".join(map(str, one.version)) if one.version else None,
        "library": one.library,
        "beside": list(beside),
        "pointer_bytes": one.pointer_bytes,
        "page_size": one.page_size,
        "main": _info(one.main),
        "total": _info(total),
        "malloc_stats": None
        if total is None or parameters is None
        else {
            "system_bytes": total.arena + total.hblkhd,
            "in_use_bytes": total.uordblks + total.hblkhd,
            "max_mmap_regions": parameters.max_n_mmaps,
            "max_mmap_bytes": parameters.max_mmapped_mem,
        },
        "parts": whole._asdict() if whole else None,
        "resident": known._asdict() if known else None,
        "malloc_trim_bytes": known.trim if known else None,
        "parameters": None if parameters is None else _parameters(parameters._asdict()),
        "arenas": [_arena(arena) for arena in one.arenas],
        "mmapped": {
            "found": len(one.mmapped),
            "found_bytes": sum(chunk.size for chunk in one.mmapped),
            "largest": [
                chunk._asdict()
                for chunk in sorted(one.mmapped, key=lambda chunk: -chunk.size)[:_LARGEST]
            ],
        },
        "tcaches": [
            {
                "address": cache.address,
                "chunks": len(cache.chunks),
                "bytes": sum(chunk.size for chunk in cache.chunks),
            }
            for cache in one.tcaches
        ],
        "pins": [_pin(one, arena, pin) for arena, pin in pins(one)],
        "histogram": [row._asdict() for row in histogram(one)],
        "advice": [item._asdict() for item in advise(one)],
        "checks": [check._asdict() for check in one.checks],
        "attempts": one.attempts,
    }


def _info(info: MallInfo | None) -> dict[str, int] | None:
    return None if info is None else info._asdict()


def _parameters(values: dict[str, Any]) -> dict[str, Any]:
    del values["since"]
    return values


def _pin(one: Survey, arena: ArenaView, pin: Any) -> dict[str, Any]:
    return {
        "arena": arena.address,
        "address": pin.address,
        "chunks": len(pin.chunks),
        "used_bytes": pin.used_bytes,
        "free_bytes": pin.free_bytes,
        "resident_bytes": pin.resident_bytes,
        "what": pin_words(one, arena, pin),
    }


def _arena(arena: ArenaView) -> dict[str, Any]:
    return {
        "address": arena.address,
        "main": arena.is_main,
        "threads": arena.threads,
        **(arena.info._asdict() if arena.info else dict.fromkeys(MallInfo._fields)),
        "max_system_bytes": arena.max_system_mem,
        "contiguous": arena.contiguous,
        "top_bytes": arena.top_bytes,
        "in_use_chunks": sum(arena.used_sizes.values()),
        "in_use_bytes": sum(size * count for size, count in arena.used_sizes.items()),
        "tcache_chunks": arena.tcache_chunks,
        "tcache_bytes": arena.tcache_bytes,
        "resident": arena.resident._asdict() if arena.resident else None,
        "heaps": [
            {
                "start": view.stretch.start,
                "end": view.stretch.end,
                "walked_to": view.walked_to,
                "complete": view.complete,
                "holes": [hole._asdict() for hole in view.holes],
            }
            for view in arena.stretches
        ],
    }
