"""What the parity gate catches: faults are seeded into models that are sound, and the gate is asked at its default tolerances.

A fault in the conversion is in both files, the shipped one and its float32 twin: the twin is held to 1e-4, so it shows what
float16's own rounding hides. A fault in the shipped float16 file alone meets the wide tolerance only.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from mlpublish.benchmarks.trial import Study, Trial
from mlpublish.errors import RecipeError
from mlpublish.reporting.progress import Progress, shown


def study(*names: str, progress: Progress = True) -> Study:
    """Seed every fault into every model and ask the gate.

    Args:
        names: some of the models' names; by default all twenty.
        progress: False for silence, or a function that is told each model.

    Raises:
        RecipeError: a name is none of the models'.
        MissingExtra: torch or XGBoost is not installed.
    """
    from mlpublish.benchmarks.classic_models import CLASSIC_MODELS
    from mlpublish.benchmarks.small_networks import SMALL_NETWORKS
    from mlpublish.benchmarks.trials import classic_trials, network_trials

    known = (*SMALL_NETWORKS, *CLASSIC_MODELS)
    if unknown := [name for name in names if name not in known]:
        raise RecipeError(
            f"{unknown[0]!r} is no model of the study.", remedy=f"Use some of {', '.join(map(repr, known))}.", field="names"
        )
    chosen = [name for name in known if name in names or not names]
    trials: list[Trial] = []
    with shown(progress, steps=len(chosen)) as tell, TemporaryDirectory(prefix="mlpublish-study-") as folder:
        for name in chosen:
            tell(f"Seeding faults into {name}")
            ask = network_trials if name in SMALL_NETWORKS else classic_trials
            trials += ask(name, Path(folder))
    return Study(trials=tuple(trials))
