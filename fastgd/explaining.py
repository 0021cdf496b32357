"""What a network can be asked about itself: methods that lead to `fastgd.explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastgd.engine.history import History
    from fastgd.explain.diagnose import Diagnosis
    from fastgd.explain.nudges import Nudges
    from fastgd.explain.update import UpdateExplanation
    from fastgd.rules.optimizers import Optimizer

__all__ = ["Explaining"]

Array = np.ndarray


class Explaining:
    """The part of `Network` that explains it."""

    def explain_update(
        self: Any, x: Any, y: Any, layer: int, i: int, j: int, learning_rate: float = 0.1
    ) -> UpdateExplanation:
        """Return the chain of slopes that makes the step of one weight, for one example.

        The weight is ``weights[layer][i, j]``. Print what is returned to read it; see
        `fastgd.explain.update.explain_update`.
        """
        from fastgd.explain.update import explain_update

        return explain_update(self, x, y, layer, i, j, learning_rate)

    def nudges(self: Any, X: Any, y: Any, top: int = 20, learning_rate: float = 0.1) -> Nudges:
        """Return the negative gradient, read aloud: which weights should change, and how much.

        Print what is returned to read it; see `fastgd.explain.nudges.nudges`.
        """
        from fastgd.explain.nudges import nudges

        return nudges(self, X, y, top, learning_rate)

    def hessian_vector(self: Any, X: Any, y: Any, v: Any) -> Array:
        """Return the Hessian of `loss` times a flat vector v, exactly (Pearlmutter 1994).

        One number for each of `parameters`; see `fastgd.explain.curvature`.
        """
        from fastgd.explain.curvature import hessian_vector

        return hessian_vector(self, X, y, v)

    def diagnose(
        self: Any,
        X: Any,
        y: Any,
        *,
        validation_data: tuple[Any, Any] | None = None,
        history: History | None = None,
        optimizer: str | Optimizer | None = None,
        learning_rate: float | None = None,
        batch_size: int = 32,
        seed: int = 0,
    ) -> Diagnosis:
        """Return what is wrong with the network or its training, with evidence and what to try.

        Print what is returned to read it. What it is told of the training (its history, learning
        rate and validation data) makes it see more: see `fastgd.explain.diagnose.diagnose`.
        """
        from fastgd.explain.diagnose import diagnose

        return diagnose(
            self, X, y, validation_data=validation_data, history=history, optimizer=optimizer,
            learning_rate=learning_rate, batch_size=batch_size, seed=seed,
        )  # fmt: skip
