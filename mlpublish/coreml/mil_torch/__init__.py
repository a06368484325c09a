"""The large MIL operations by torch, where it is installed: the same handlers as in ``mil_ops``, sooner.

Arrays come in and go out as numpy's; torch computes in their own memory. What is not here runs in numpy.
"""

from __future__ import annotations
