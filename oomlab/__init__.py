"""Whom will the Linux OOM killer kill, why, and what do I change?

>>> import oomlab
>>> snapshot = oomlab.load()
>>> first = oomlab.rank(snapshot)[0]
"""

from importlib import import_module

TYPE_CHECKING = False
"""What checkers take for true by its name: importing typing would cost time at each start, and an
interrupt meanwhile a traceback."""

if TYPE_CHECKING:
    from .analysis.audit import audit
    from .analysis.choice import Choice, choose
    from .analysis.ranking import Ranking, rank
    from .analysis.suggest import suggest
    from .analysis.suggestion import Growth, Suggestion
    from .analysis.whatif import (
        add_task,
        find_task,
        grow,
        kill,
        set_adj,
        set_oom_adj,
        set_ram,
        set_rss,
        set_swap,
        set_swap_total,
    )
    from .errors import InputError, OomlabError, SnapshotFormatError, SourceError, UnknownTaskError
    from .kernel.score import Score
    from .memcg import Memcg
    from .readers.load import load
    from .readers.saved import save_snapshot
    from .snapshot import Gap, Machine, Node, Snapshot, Task

__version__ = "0.1.0"

__all__ = [
    "Choice",
    "Gap",
    "Growth",
    "InputError",
    "Machine",
    "Memcg",
    "Node",
    "OomlabError",
    "Ranking",
    "Score",
    "Snapshot",
    "SnapshotFormatError",
    "SourceError",
    "Suggestion",
    "Task",
    "UnknownTaskError",
    "add_task",
    "audit",
    "choose",
    "find_task",
    "grow",
    "kill",
    "load",
    "rank",
    "save_snapshot",
    "set_adj",
    "set_oom_adj",
    "set_ram",
    "set_rss",
    "set_swap",
    "set_swap_total",
    "suggest",
]

_HOME = {
    "Growth": ".analysis.suggestion",
    "Suggestion": ".analysis.suggestion",
    "audit": ".analysis.audit",
    "suggest": ".analysis.suggest",
    "Choice": ".analysis.choice",
    "choose": ".analysis.choice",
    "set_oom_adj": ".analysis.whatif",
    "Gap": ".snapshot",
    "InputError": ".errors",
    "Machine": ".snapshot",
    "Memcg": ".memcg",
    "Node": ".snapshot",
    "OomlabError": ".errors",
    "Ranking": ".analysis.ranking",
    "Score": ".kernel.selection",
    "Snapshot": ".snapshot",
    "SnapshotFormatError": ".errors",
    "SourceError": ".errors",
    "Task": ".snapshot",
    "UnknownTaskError": ".errors",
    "add_task": ".analysis.whatif",
    "find_task": ".analysis.whatif",
    "grow": ".analysis.whatif",
    "kill": ".analysis.whatif",
    "load": ".readers.load",
    "rank": ".analysis.ranking",
    "save_snapshot": ".readers.saved",
    "set_adj": ".analysis.whatif",
    "set_ram": ".analysis.whatif",
    "set_rss": ".analysis.whatif",
    "set_swap": ".analysis.whatif",
    "set_swap_total": ".analysis.whatif",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: ``oomlab --help`` needs none of them."""
    if name not in _HOME:
        raise AttributeError(f"module 'oomlab' has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)
