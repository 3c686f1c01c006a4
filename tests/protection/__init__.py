"""Random scenarios that the running kernel judges: ``python -m tests.protection --count 50``."""

import sys
from pathlib import Path

# The helpers beside this package are plain modules, as pytest imports them.
sys.path.insert(0, str(Path(__file__).parent.parent))
