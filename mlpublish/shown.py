"""How results look where they are printed: one line in a console, a table in a notebook."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from mlpublish.formats.evidence import ParityReport


class Shown:
    """Gives a result one line in a console, and a table in a notebook: no script, no style sheet, every value escaped."""

    __slots__ = ()

    def rows(self) -> Mapping[str, object]:
        """What a reader wants to see of it, in order."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON has it (``--json``)."""
        raise NotImplementedError

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}: {value}" for name, value in self.rows().items() if value is not None)
        return f"<{type(self).__name__} {shown}>"

    def _repr_html_(self) -> str:
        title = html.escape(type(self).__name__)
        cells = "".join(
            f'<tr><th scope="row" style="text-align:left">{html.escape(name)}</th>'
            f'<td style="text-align:left">{html.escape(str(value))}</td></tr>'
            for name, value in self.rows().items()
            if value is not None
        )
        return f'<table><caption style="text-align:left"><b>{title}</b></caption>{cells}</table>'


def parity_rows(parity: ParityReport | None) -> dict[str, object]:
    """A parity report as a reader wants to see it."""
    if parity is None:
        return {"parity": "not measured"}
    shown: dict[str, object] = {
        "parity": f"{parity.samples} samples, largest difference {parity.max_abs_diff:.1e} "
        f"(relative {parity.max_rel_diff:.1e}, allowed {parity.tolerance.rel:.0e})",
        "label agreement": None if parity.label_agreement is None else f"{parity.label_agreement:.2%}",
        "executor": parity.executor,
    }
    if parity.twin is not None:
        shown["float32 twin"] = f"relative {parity.twin.max_rel_diff:.1e}, allowed {parity.twin.tolerance.rel:.0e}"
    return shown
