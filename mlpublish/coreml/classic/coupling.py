"""From shares of class against class to one probability per class, as libsvm does it.

Source: Wu, Lin and Weng, "Probability estimates for multi-class classification by pairwise coupling" (2004), the second method,
algorithm 2: minimise the sum over i, j of (r_ji p_i - r_ij p_j)², one class after another, until no class is off by more than
0.005 / k. The bound is libsvm's, so the answers stop where its answers stop.
"""

from __future__ import annotations

import numpy as np

from mlpublish.coreml.classic.stage import Doubles

_BOUND = 0.005
_ROUNDS = 100  # at least; libsvm's limit is the larger of this and the number of classes


def coupled(against: Doubles) -> Doubles:
    """Couple the shares.

    Args:
        against: (rows, classes, classes), the share of the first against the second; the diagonal is 0.

    Returns:
        (rows, classes), every row with a sum of one.
    """
    rows, classes, _ = against.shape
    quadratic = -against.transpose(0, 2, 1) * against
    diagonal = np.arange(classes)
    quadratic[:, diagonal, diagonal] = (against**2).sum(axis=1)
    found = np.full((rows, classes), 1 / classes)
    going = np.arange(rows)
    for _ in range(max(_ROUNDS, classes)):
        off, mean = _off(quadratic[going], found[going])
        far = np.abs(off - mean[:, np.newaxis]).max(axis=1) >= _BOUND / classes
        going, off, mean = going[far], off[far], mean[far]
        if not going.size:
            break
        found[going] = _round(quadratic[going], found[going], off, mean)
    return found


def _off(quadratic: Doubles, found: Doubles) -> tuple[Doubles, Doubles]:
    off = np.einsum("rij,rj->ri", quadratic, found)
    return off, (found * off).sum(axis=1)


def _round(quadratic: Doubles, found: Doubles, off: Doubles, mean: Doubles) -> Doubles:
    """Every class once: bring its share to where the sum of squares is least, and all shares to a sum of one again."""
    found, off, mean = found.copy(), off.copy(), mean.copy()
    for place in range(found.shape[1]):
        own = quadratic[:, place, place]
        step = (mean - off[:, place]) / own
        found[:, place] += step
        mean = (mean + step * (step * own + 2 * off[:, place])) / (1 + step) ** 2
        scale = 1 / (1 + step)[:, np.newaxis]
        off = (off + step[:, np.newaxis] * quadratic[:, place]) * scale
        found *= scale
    return found
