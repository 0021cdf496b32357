"""Which examples a fit holds out to measure itself on."""

from __future__ import annotations

import numpy as np

from fastgd.engine.inputs import Targets

__all__ = ["held_out"]

Array = np.ndarray


def held_out(targets: Targets, share: float, seed: int) -> Array:
    """Return which examples are held out, bool (n,): a share drawn at random, of each class alike.

    Raises
    ------
    ValueError
        If there are too few examples for both parts.
    """
    n = len(targets)
    rng = np.random.default_rng(seed)
    chosen = np.zeros(n, dtype=bool)
    order = rng.permutation(n)
    classes = targets.classes
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
    # Every 1/share-th of the shuffled rows, class after class.
    places = np.floor((np.arange(round(n * share)) + rng.random()) / share).astype(np.int64)
    chosen[order[places[places < n]]] = True
    if not 0 < chosen.sum() < n:
        raise ValueError(
            f"validation_split={share:g} of {n} examples leaves none on one side; "
            "give more examples or another share"
        )
    return chosen
