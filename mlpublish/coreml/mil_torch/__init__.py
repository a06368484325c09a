"""The large MIL operations by torch, where it is installed: handlers of the same names and parameters as in ``mil_ops``.

Arrays come in and go out as numpy's; torch computes in their own memory. What is not here runs in numpy.
"""

from __future__ import annotations
