"""scikit-learn's loop over epochs (`BaseMultilayerPerceptron._fit_stochastic`), on fastgd."""

from __future__ import annotations

import sys
import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing, gen_batches

from fastgd.sklearn.extras import only_fastgds, validation_of
from fastgd.sklearn.parts import LISTS, TAKES_WEIGHTS, Base, optimizers
from fastgd.sklearn.problem import Problem, flat_parameters
from fastgd.sklearn.stochastic import Epochs
from fastgd.sklearn.watching import Watch

__all__ = ["NOT_FINITE", "Arguments", "Training"]

Array = np.ndarray
#: What scikit-learn says where training diverged.
NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)


def _warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn from where scikit-learn does: filters go by the module."""
    module = sys.modules[Base.__module__]
    registry = vars(module).setdefault("__warningregistry__", {})
    warnings.warn_explicit(
        message, category, str(module.__file__), 0, module.__name__, registry
    )  # fmt: skip


class Arguments(NamedTuple):
    """The arguments of scikit-learn's solvers, of any version: before 1.7 there are no weights."""

    X: Any
    y: Array
    lists: list[list]
    layer_units: list[int]
    sample_weight: Array | None = None
    incremental: bool = False
    values: tuple = ()  # all of them, as scikit-learn passes them on

    @classmethod
    def of(cls, named: dict[str, Any]) -> Arguments:
        """Return them from those of a call, by name."""
        given = dict(named)
        values = tuple(v for n, v in named.items() if TAKES_WEIGHTS or n != "sample_weight")
        lists = [given.pop(n) for n in LISTS]
        return cls(lists=lists, values=values, **given)


class Training:
    """One call of `_fit_stochastic`."""

    def __init__(self, estimator: Any, given: Arguments, dtype: Any):
        self.estimator, self.given = estimator, given
        self._start_optimizer()
        if estimator.early_stopping and given.incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        self.X, self.y, self.weights = given.X, given.y, given.sample_weight
        self.validation: tuple = (None, None, None)
        if estimator.validation_data is not None:
            self.validation = validation_of(estimator, self.y)
            if estimator.validation_scores_ is None:
                estimator.validation_scores_, estimator.best_validation_score_ = [], -np.inf
        elif estimator.early_stopping:
            self._split()
        self.n = self.X.shape[0]
        self.batch_size = self._batch_size()
        problem = Problem.of(estimator, self.X, self.y, self.weights, dtype)
        n_steps = -(-self.n // self.batch_size)
        validation = None if self.validation[0] is None else self.validation
        self.watch = watch = Watch(estimator, validation, self.n, n_steps, given.incremental)
        self.epochs = Epochs(
            estimator, problem, self.batch_size,
            rates=watch.rates if watch.schedule else None,
            after=watch.after if watch.listeners else None,
            single=watch.hears_batches,
        )  # fmt: skip
        self.by_hand = False

    def _start_optimizer(self) -> None:
        estimator = self.estimator
        if self.given.incremental and hasattr(estimator, "_optimizer"):
            return
        parameters = estimator.coefs_ + estimator.intercepts_
        if estimator.solver == "sgd":
            estimator._optimizer = optimizers.SGDOptimizer(
                parameters, estimator.learning_rate_init, estimator.learning_rate,
                estimator.momentum, estimator.nesterovs_momentum, estimator.power_t,
            )  # fmt: skip
        else:
            estimator._optimizer = optimizers.AdamOptimizer(
                parameters, estimator.learning_rate_init, estimator.beta_1, estimator.beta_2,
                estimator.epsilon,
            )  # fmt: skip

    def _split(self) -> None:
        """Put examples aside, as scikit-learn does; multilabel targets are not stratified."""
        estimator = self.estimator
        stratified = is_classifier(estimator) and estimator.n_outputs_ == 1
        arrays = [self.X, self.y] + ([] if self.weights is None else [self.weights])
        parts = train_test_split(
            *arrays,
            random_state=estimator._random_state,
            test_size=estimator.validation_fraction,
            stratify=self.y if stratified else None,
        )
        if len(parts) == 4:
            parts += [None, None]
        self.X, X_val, self.y, y_val, self.weights, weights_val = parts
        if X_val.shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' "
                "or the size of your dataset."
            )
        if is_classifier(estimator):
            y_val = estimator._label_binarizer.inverse_transform(y_val)
        self.validation = X_val, y_val, weights_val

    def _batch_size(self) -> int:
        asked = self.estimator.batch_size
        if asked == "auto":
            return min(200, self.n)
        if asked > self.n:
            _warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
            )
        return int(np.clip(asked, 1, self.n))

    def run(self) -> None:
        """Make epochs until scikit-learn would stop."""
        estimator, watch = self.estimator, self.watch
        watch.begin(self.epochs.flat)
        try:
            reason = self._epochs()
        except KeyboardInterrupt:
            reason = "interrupted"
            _warn("Training interrupted by user.")
        finally:
            watch.close()
        if estimator.early_stopping:
            self._go_back()
        watch.end(reason)

    def _go_back(self) -> None:
        """Take the coefficients of the best epoch."""
        estimator, epochs = self.estimator, self.epochs
        estimator.coefs_, estimator.intercepts_ = estimator._best_coefs, estimator._best_intercepts
        if self.watch.listeners:  # callbacks have a network, whose parameters those must be
            layout, flat = epochs.problem.architecture.layout, epochs.flat
            flat[:] = flat_parameters(layout, estimator.coefs_, estimator.intercepts_, flat.dtype)
            estimator.coefs_, estimator.intercepts_ = layout.weights(flat), layout.biases(flat)

    def _epochs(self) -> str:
        """Make epochs; return why they ended."""
        estimator, watch = self.estimator, self.watch
        estimator.n_iter_ = 0
        order = np.arange(self.n) if estimator.shuffle else None
        for _ in range(estimator.max_iter):
            if order is not None:
                # scikit-learn's own draws: see sklearn.utils.resample.
                drawn = np.arange(self.n)
                estimator._random_state.shuffle(drawn)
                order = order[drawn]
            watch.begin_epoch()
            loss = self._epoch(order)
            if self.epochs.stopped:
                return "callback"
            ended = self._ended(loss)
            if watch.end_epoch(loss):
                return "callback"
            if ended or self.given.incremental:
                break
            if estimator.n_iter_ == estimator.max_iter:
                _warn(
                    f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) "
                    "reached and the optimization hasn't converged yet.",
                    ConvergenceWarning,
                )
        return "epochs"

    def _epoch(self, order: Array | None) -> float:
        loss = None if self.by_hand else self.epochs.run(order)
        if loss is not None:
            return loss
        weighs = self.weights is not None and not TAKES_WEIGHTS
        if weighs or "loss" in only_fastgds(self.estimator):  # scikit-learn's steps have neither
            raise ValueError(NOT_FINITE)
        self.by_hand = True
        flat = self.epochs.flat
        before = flat.copy()
        loss = self._epoch_by_hand(order)
        if not (self.estimator.early_stopping or np.isfinite(flat).all()):
            flat[:] = before
            raise ValueError(NOT_FINITE)
        return loss

    def _epoch_by_hand(self, order: Array | None) -> float:
        """Make an epoch as scikit-learn does, for what then happens to numbers not finite."""
        estimator, total = self.estimator, 0.0
        parameters = estimator.coefs_ + estimator.intercepts_
        activations, deltas, coef_grads, intercept_grads = self.given.lists
        for batch in gen_batches(self.n, self.batch_size):
            rows = batch if order is None else order[batch]
            X = _safe_indexing(self.X, rows)
            activations[0] = X
            weights = [] if self.weights is None else [self.weights[rows]]
            if not weights and TAKES_WEIGHTS:
                weights = [None]
            loss, coef_grads, intercept_grads = estimator._backprop(
                X, self.y[rows], *weights, activations, deltas, coef_grads, intercept_grads
            )
            total += loss * (batch.stop - batch.start)
            estimator._optimizer.update_params(parameters, coef_grads + intercept_grads)
        return total / self.n

    def _ended(self, loss: float) -> bool:
        """Take note of an epoch's loss; return whether training is over."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.loss_ = loss
        estimator.t_ += self.n
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        validation = self.validation if TAKES_WEIGHTS else self.validation[:2]
        estimator._update_no_improvement_count(estimator.early_stopping, *validation)
        if validation[0] is not None and not estimator.early_stopping:
            self._note_score()
        estimator._optimizer.iteration_ends(estimator.t_)
        if not estimator._no_improvement_count > estimator.n_iter_no_change:
            return False
        what = "Validation score" if estimator.early_stopping else "Training loss"
        message = (
            f"{what} did not improve more than tol={estimator.tol:f} for "
            f"{estimator.n_iter_no_change:d} consecutive epochs."
        )
        if estimator._optimizer.trigger_stopping(message, estimator.verbose):
            return True
        estimator._no_improvement_count = 0
        return False

    def _note_score(self) -> None:
        """Note the score on validation data that stop nothing."""
        estimator, (X, y, weight) = self.estimator, self.validation
        score = estimator._score(X, y, *([weight] if TAKES_WEIGHTS else []))
        estimator.validation_scores_.append(score)
        estimator.best_validation_score_ = max(score, estimator.best_validation_score_)
