"""Which notebooks can run here: the one that converts a PyTorch model needs PyTorch."""

from __future__ import annotations

import os
from importlib.util import find_spec

# in CI it must run: there nothing is left out
collect_ignore = [] if find_spec("torch") or os.environ.get("CI") == "true" else ["01_convert.ipynb"]
