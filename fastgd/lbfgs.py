"""L-BFGS on all examples at once: SciPy's, on the network's loss and gradient."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from fastgd.engine.fit import Fit
from fastgd.errors import DivergenceError, MissingExtraError, SettingError
from fastgd.rules.optimizers import LBFGS

__all__ = ["WholeFit"]

Array = np.ndarray


class WholeFit(Fit):
    """A fit whose epochs are iterations of L-BFGS (Liu and Nocedal 1989)."""

    def check(self) -> None:
        """Refuse what goes with mini-batches alone, too."""
        name = self.session.optimizer.name
        if self.session.runner.architecture.has_dropout:
            raise SettingError("optimizer", f"{name!r} works without dropout; this network has it")
        if self.examples is None:
            raise SettingError("optimizer", f"{name!r} needs X and y as arrays")
        if self.checkpoint:
            raise SettingError("checkpoint", f"goes with optimizers that step; got {name!r}")
        super().check()

    def _epochs(self, epochs: int) -> None:
        try:
            from scipy.optimize import minimize
        except ImportError:
            message = 'optimizer "lbfgs" needs SciPy: pip install "fastgd[lbfgs]"'
            raise MissingExtraError(message) from None
        session, optimizer = self.session, self.session.optimizer
        assert isinstance(optimizer, LBFGS)
        assert self.examples is not None
        parameters = session.state.parameters
        self._epoch_number, self._started = 0, time.perf_counter()
        self.listeners.tell("on_epoch_begin", 0)
        if not epochs:
            return
        result = minimize(
            self._cost_and_slope,
            parameters.astype(np.float64),
            jac=True,
            method="L-BFGS-B",
            callback=self._after,
            options={
                "maxiter": epochs, "maxcor": optimizer.memory, "gtol": optimizer.tolerance,
                "ftol": 0.0, "maxfun": 20 * epochs + 20,
            },
        )  # fmt: skip
        parameters[:] = result.x

    def _cost_and_slope(self, w: Array) -> tuple[float, Array]:
        """Return the cost with its penalty, and its gradient, both float64."""
        session = self.session
        runner, state, l2 = session.runner, session.state, session.optimizer.l2
        examples = next(iter(self.chunks()))
        state.parameters[:] = w
        cost = runner.loss(state.parameters, examples)
        slope = runner.gradient(state.parameters, examples).astype(np.float64)
        if not self.history.epochs and self._epoch_number == 0 and not np.isfinite(cost):
            raise DivergenceError("the cost is not finite before the first step", 1, 1.0)
        layout = runner.architecture.layout
        for W, d_W in zip(layout.weights(w), layout.weights(slope), strict=True):
            cost += l2 / 2 * float((W * W).sum())
            d_W += l2 * W
        return (cost, slope) if np.isfinite(cost) else (np.inf, np.zeros_like(slope))

    def _after(self, w: Array) -> None:
        """Measure after an iteration; end where a callback asks for it."""
        session, epoch = self.session, self._epoch_number
        runner, state = session.runner, session.state
        state.parameters[:] = w
        self.steps += 1
        state.step += 1
        cost = runner.loss(state.parameters, next(iter(self.chunks())))
        now = time.perf_counter()
        logs: dict[str, Any] = {"cost": cost, "learning_rate": 1.0, "seconds": now - self._started}
        self.history.append({**logs, **self._measure()})
        last = {name: values[-1] for name, values in self.history.items()}
        made = {"examples": len(self.examples or ()), "cost": cost}
        stop = self.listeners.tell("on_progress", epoch, made)
        stop = self.listeners.tell_batch(self.steps, made) or stop
        if self.listeners.tell("on_epoch_end", epoch, last) or stop:
            self.history.stop_reason = "callback"
            raise StopIteration
        self._epoch_number, self._started = epoch + 1, time.perf_counter()
        self.listeners.tell("on_epoch_begin", self._epoch_number)
