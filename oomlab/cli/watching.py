"""The two ends of a watch: where samples come from, and where views go."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from types import FrameType, TracebackType

import typer

from ..analysis.growth.view import View
from ..analysis.growth.watching import Watch
from ..errors import InputError
from ..output.layout import Screen
from ..output.render import FORMATS, render_line, render_table
from ..output.watch import watch_table
from ..output.watch_document import watch_document
from ..readers.load import with_memcgs
from ..readers.procfs import PROC
from ..readers.samples import Recorder, read_samples
from ..readers.sampling import Sampler
from ..samples import Sample
from .notices import tell
from .options import Format, memcg_path, screen
from .terminal import Redrawn, is_smart

_SIGTERM_STATUS = 128 + signal.SIGTERM


class Live:
    """Samples of this machine, recorded if wanted."""

    def __init__(self, proc: Path | None, cgroup: str | None, record: Path | None) -> None:
        """Raise InputError where there is no such cgroup, SourceError for a file or a /proc."""
        root = proc or PROC
        self.memcg: str | None = None
        if cgroup is not None:
            self.memcg = memcg_path(with_memcgs(Sampler(root).sample().snapshot, proc), cgroup)
        self._sampler = Sampler(root, self.memcg)
        self._recorder = Recorder(record) if record is not None else None

    def __enter__(self) -> Live:
        # Ended as any service is ended, the recording shall be whole.
        signal.signal(signal.SIGTERM, _end)
        return self

    def __exit__(self, *_how: object) -> None:
        """Finish the recording, and what still reads."""
        self._sampler.close()
        if self._recorder is not None:
            self._recorder.close()

    def samples(self, watch: Watch, interval_seconds: float) -> Iterator[Sample]:
        """Yield samples at an interval, with the kinds of memory that the watch asks for."""
        due = time.monotonic()
        while True:
            sample = self._sampler.sample(watch.wanted(), watch.suspects())
            if self._recorder is not None:
                self._recorder.write(sample)
            yield sample
            # A sample that came late, or a machine that slept, puts off all that follow.
            due = max(due + interval_seconds, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise typer.Exit(_SIGTERM_STATUS)


class Replay:
    """The samples of a recording; what is damaged in it is told on stderr."""

    def __init__(self, path: Path, cgroup: str | None) -> None:
        """Raise InputError where there is no such cgroup, SourceError where it can't be read."""
        self._samples = read_samples(path, tell)
        self._first = next(self._samples)
        self.memcg = memcg_path(self._first.snapshot, cgroup)

    def samples(self) -> Iterator[Sample]:
        """Yield them all."""
        yield self._first
        yield from self._samples


def views_of(
    samples: Iterable[Sample], watch: Watch, selected: Collection[str], count: int | None
) -> Iterator[View]:
    """Yield the view after each sample, ``count`` at most, while a selected process lives.

    Raises InputError where there is none of the selected at the first sample; tells of each that
    is not there yet, or not any more.
    """
    for sample in samples:
        if not watch.knows_scope_of(sample):
            tell("the memory cgroup is gone: the watch ends")
            return
        view = watch.feed(sample)
        if selected and not view.rows:
            if view.number == 1:
                names = ", ".join(sorted(selected))
                raise InputError(f"no process has the PID or name {names}")
            yield view
            return
        if view.number == 1:
            _tell_missing(view, selected)
        yield view
        if view.number == count:
            return


def _tell_missing(view: View, selected: Collection[str]) -> None:
    seen = {str(row.task.pid) for row in view.rows} | {row.task.comm for row in view.rows}
    missing = sorted(set(selected) - seen)
    if missing:
        tell(f"no process has the PID or name {', '.join(missing)} so far")


class Printer:
    """Prints views: redrawn in place on a terminal, else one after another.

    Of a replay as a table only the last view is printed: it is what had come to be known.
    """

    def __init__(self, form: Format | None, *, live: bool, evidence: bool) -> None:
        on_terminal = sys.stdout.isatty()
        self._form = form or (Format.table if on_terminal else Format.json)
        self._evidence = evidence
        self._screen: Screen = screen()
        self._redrawn = Redrawn() if on_terminal and live and is_smart() else None
        self._only_last = not live and self._form in (Format.table, Format.markdown)
        self._last: View | None = None
        self._number = 0
        self._gaps: set[str] = set()

    def __enter__(self) -> Printer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Print the last view of a replay, also of one that was interrupted."""
        if self._only_last and self._last is not None:
            self._print(self._last)

    def show(self, view: View) -> None:
        """Print a view, or keep it where a later one may take its place."""
        self._last = view
        if not self._only_last:
            self._print(view)

    def _print(self, view: View) -> None:
        self._number += 1
        self._tell_gaps(view)
        if self._form is Format.json:
            text = render_line(watch_document(view))
        elif self._form is Format.csv:
            text = FORMATS["csv"](watch_table(view, evidence=False, timed=True), Screen())
            text = text if self._number == 1 else text.partition("\n")[2]
        else:
            self._screen = screen()
            table = watch_table(view, evidence=self._evidence)
            render = render_table if self._form is Format.table else FORMATS["markdown"]
            text = render(table, self._screen)
            if self._redrawn is not None and self._form is Format.table:
                self._redrawn.show(text)
                return
            text = text if self._number == 1 else f"\n{text}"
        sys.stdout.write(text)
        sys.stdout.flush()

    def _tell_gaps(self, view: View) -> None:
        """Say once on stderr what could not be read."""
        for gap in view.sample.snapshot.gaps:
            text = f"{gap.what}: {gap.why}"
            if text not in self._gaps:
                self._gaps.add(text)
                tell(f"not read: {gap}")
