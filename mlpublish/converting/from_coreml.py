"""convert from Core ML: a model that was converted and kept in MLflow is taken as it was, and asked its golden rows again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mlpublish.artifacts import ConvertedModel
from mlpublish.converting.parity import gate, measure
from mlpublish.coreml import golden
from mlpublish.coreml.converted import copied
from mlpublish.errors import ConversionError
from mlpublish.formats.evidence import MlflowLineage, Tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """Taking one kept model, with everything decided.

    Args:
        model: as it was converted; its files were checked against its record.
        name: the copy's.
        tolerance: what is allowed now; None for what was allowed then.
    """

    model: ConvertedModel
    name: str
    tolerance: Tolerance | None
    tell: Callable[[str], None]

    def done(self, folder: Path, lineage: MlflowLineage | None) -> ConvertedModel:
        """Copy the model with its evidence into a folder, where it comes from MLflow's model of now.

        Raises:
            ParityError: it was, or is now, outside of the tolerance.
        """
        made = copied(self.model, folder, self.name)
        if made.parity is not None:
            allowed = self.tolerance or made.parity.tolerance
            gate(replace(made.parity, tolerance=allowed))
            self._ask_again(made, allowed)
        return replace(made, provenance=replace(made.provenance, mlflow=lineage or made.provenance.mlflow)).write()

    def _ask_again(self, made: ConvertedModel, allowed: Tolerance) -> None:
        if made.golden is None:
            return
        kept = golden.read(made.golden)
        self.tell(f"Running the kept file on its {kept.samples} golden rows")
        gate(measure(made.path, samples=kept.inputs, expected=kept.answers, tolerance=allowed))


def check_asked(model: ConvertedModel, *, samples: object | None, precision: str) -> None:
    """Refuse what would need the source model: it is not here any more.

    Raises:
        ConversionError: samples are given, or the model is of another precision.
    """
    if samples is not None:
        raise ConversionError(
            f"{model.name} was converted already: without its source no samples can be proven on it.",
            remedy="Leave out samples= (its own golden rows are asked again), or convert the source model.",
            field="samples",
        )
    held = "float16" if model.precision == "float16" else "float32"
    if precision not in ("auto", held):
        raise ConversionError(
            f"{model.name} was converted already, in {held}.",
            remedy="Leave out precision=, or convert the source model.",
            field="precision",
        )
