"""`MLPClassifier` and `MLPRegressor`: scikit-learn's own classes, their arithmetic fastgd's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from sklearn import neural_network
from sklearn.utils import compute_sample_weight
from sklearn.utils.validation import validate_data

from fastgd.errors import SettingError
from fastgd.network import Network
from fastgd.rules.optimizers import TINY
from fastgd.sklearn import log
from fastgd.sklearn.extras import (
    ACCEPTED,
    CLASS_WEIGHT,
    EXTRAS,
    checked,
    constructor,
    losses,
    only_fastgds,
)
from fastgd.sklearn.networks import fill_from, network_of
from fastgd.sklearn.parts import MOVED, SOLVERS, TAKES_WEIGHTS, Base
from fastgd.sklearn.problem import (
    ACTIVATIONS,
    LOSSES,
    Problem,
    architecture_of,
    computer,
    flat_parameters,
    inputs_for,
    threads_of,
)
from fastgd.sklearn.training import Arguments, Training
from fastgd.sklearn.whole import Whole

__all__ = ["MLPClassifier", "MLPRegressor", "from_network"]

Array = np.ndarray
#: scikit-learn's own steps, whose place fastgd takes: where a subclass has others, theirs are made.
REPLACED = (
    "_backprop", "_compute_loss_grad", "_fit_lbfgs", "_fit_stochastic", "_forward_pass",
    "_loss_grad_lbfgs", "_unpack",
)  # fmt: skip


#: scikit-learn's class comes after: what it has, mypy need not know.
After: Any = object


class OnFastgd(After):
    """What both estimators have in common; scikit-learn's class comes after it."""

    def _fit_stochastic(self, *values: Any) -> None:
        self._solve("_fit_stochastic", values, self._train)

    def _fit_lbfgs(self, *values: Any) -> None:
        self._solve("_fit_lbfgs", values, self._minimize)

    def _solve(self, name: str, values: tuple, solver: Callable[[Arguments], str]) -> None:
        """Run a solver on fastgd, or scikit-learn's own, and tell who listens."""
        started = time.perf_counter()
        reason, used = MOVED, None
        if not reason:
            named = self._weigh_classes(dict(zip(SOLVERS[name], values, strict=True)))
            values = tuple(named.values())
            given = Arguments.of(named)
            reason = self._why_not(given)
        if reason:
            self._refuse_extras(reason)
            getattr(super(), name)(*values)
        else:
            used = computer(self).__name__.rpartition(".")[2]
            reason = solver(given)
        seconds = time.perf_counter() - started
        log.tell(log.Fit(type(self).__name__, seconds, used, reason))

    def _weigh_classes(self, named: dict[str, Any]) -> dict[str, Any]:
        """Return a solver's arguments with the weights of the classes in those of the examples."""
        class_weight = getattr(self, "class_weight", None)
        if class_weight is None:
            return named
        if named.get("incremental") and class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit: weights would be those "
                "of each call's examples alone. Pass a dict"
            )
        y = self._label_binarizer.inverse_transform(np.asarray(named["y"], dtype=int))
        weights = compute_sample_weight(class_weight, y).astype(named["X"].dtype)
        if named.get("sample_weight") is not None:
            weights *= named["sample_weight"]
        return {**named, "sample_weight": weights}

    def _train(self, given: Arguments) -> str:
        training = Training(self, given, self.coefs_[0].dtype)
        training.run()
        return "numbers that are not finite" if training.by_hand else ""

    def _minimize(self, given: Arguments) -> str:
        self._whole: Any = given
        try:
            super()._fit_lbfgs(*given.values)
        finally:
            del self._whole
        return ""

    def _loss_grad_lbfgs(self, packed_coef_inter: Array, *values: Any) -> tuple[float, Array]:
        whole: Any = self.__dict__.get("_whole")
        if isinstance(whole, Arguments):  # the first time: SciPy has chosen the dtype
            dtype = packed_coef_inter.dtype
            problem = Problem.of(self, whole.X, whole.y, whole.sample_weight, dtype)
            whole = self._whole = Whole(self, problem)
        if whole is not None:
            loss, gradient = whole.loss_and_gradient(packed_coef_inter)
            if np.isfinite(loss) or only_fastgds(self):
                return loss, gradient
        return super()._loss_grad_lbfgs(packed_coef_inter, *values)

    def _why_not(self, given: Arguments) -> str:
        """Return why fastgd cannot run a solver here; empty where it can."""
        theirs = [n for n in REPLACED if _overridden(type(self), n)]
        if theirs:
            return f"{type(self).__name__} has its own {theirs[0]}"
        dtypes = {given.X.dtype, *(p.dtype for p in self.coefs_ + self.intercepts_)}
        if self.solver != "lbfgs" and len(dtypes) > 1:
            return f"X and the coefficients differ in dtype: {', '.join(sorted(map(str, dtypes)))}"
        if given.X.dtype not in (np.float32, np.float64):
            return f"X is {given.X.dtype}"
        if self.solver == "adam" and self.epsilon < TINY:
            return f"epsilon is {self.epsilon}"
        if self.loss == "poisson" and (given.y < 0).any():
            return "a target is negative"
        if self.activation not in ACTIVATIONS or self.out_activation_ not in ACTIVATIONS:
            return f"activation {self.activation!r}, output {self.out_activation_!r}"
        if "loss" not in only_fastgds(self) and self.loss not in (*LOSSES, "log_loss"):
            return f"loss {self.loss!r}"
        if self.out_activation_ == "softmax" and (given.y.sum(axis=1) != 1).any():
            return "an example has no class, or several"
        return ""

    def _refuse_extras(self, reason: str) -> None:
        """Refuse to leave to scikit-learn what only fastgd does."""
        for name in only_fastgds(self):
            raise SettingError(name, f"needs fastgd, which cannot fit this: {reason}")
        if not TAKES_WEIGHTS and getattr(self, "class_weight", None) is not None:
            raise SettingError("class_weight", f"needs fastgd, which cannot fit this: {reason}")

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> Array:
        if MOVED or _overridden(type(self), "_forward_pass"):
            return super()._forward_pass_fast(X, check_input)
        if check_input:
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        dtype = np.result_type(X.dtype, *(W.dtype for W in self.coefs_))
        if dtype not in (np.float32, np.float64):
            return super()._forward_pass_fast(X, False)
        if X.dtype not in (np.float32, np.float64, np.uint8):
            X = X.astype(dtype)
        architecture = architecture_of(self, dtype)
        flat = flat_parameters(architecture.layout, self.coefs_, self.intercepts_, dtype)
        n = X.shape[0]
        outputs = np.empty((n, architecture.n_outputs), dtype)
        threads = threads_of(self, architecture, n)
        with np.errstate(over="ignore", invalid="ignore"):
            computer(self).forward(architecture, flat, inputs_for(X, False), outputs, threads)
        return outputs

    def _validate_input(self, X: Any, y: Any, *values: Any, **named: Any) -> tuple[Any, Array]:
        before = dict(self.__dict__)
        try:
            X, y = super()._validate_input(X, y, *values, **named)
            if self.dtype is not None:
                X = X.astype(self.dtype, copy=False)
            checked(self, y)
        except Exception:  # what is refused has changed nothing
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        return X, y

    @property
    def network_(self) -> Network:
        """The `fastgd.Network` of the fitted coefficients, with the classes: a copy."""
        return network_of(self)


def _overridden(cls: type, name: str) -> bool:
    """Return whether a class has a step that is neither scikit-learn's nor fastgd's."""
    own = (OnFastgd, Base)
    return next(c for c in cls.__mro__ if name in vars(c)) not in own


def from_network(network: Network, **parameters: Any) -> MLPClassifier | MLPRegressor:
    """Return a fitted estimator with a network's parameters, classes and scaling.

    A network that tells classes apart becomes an `MLPClassifier`, any other an `MLPRegressor`.
    Two softmax outputs become scikit-learn's single one; ``partial_fit`` goes on with its losses.

    Parameters
    ----------
    network : fastgd.Network
        With one activation for all hidden layers: identity, sigmoid, tanh or relu.
    **parameters
        Others of the estimator's.

    Raises
    ------
    ValueError
        If scikit-learn's estimators cannot be such a network.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.sklearn import from_network
    >>> net = fastgd.Network([2, 3], output="softmax", loss="cross_entropy", seed=1)
    >>> model = from_network(net)
    >>> bool((model.predict([[1.0, 2.0]]) == net.predict_classes([[1.0, 2.0]])).all())
    True
    """
    classifier = isinstance(network, Network) and network.architecture.classifies
    estimator = (MLPClassifier if classifier else MLPRegressor)(**parameters)
    fill_from(estimator, network, classifier)
    return estimator


class MLPClassifier(OnFastgd, neural_network.MLPClassifier):
    """scikit-learn's MLPClassifier, with the same numbers, faster.

    Parameters
    ----------
    *args, **kwargs
        Those of `sklearn.neural_network.MLPClassifier`.
    backend : {"auto", "native", "numba", "numpy"}, optional
        What computes; by default what `fastgd.set_backend` chose.
    threads : "auto" or int
        "auto": as many as help, and one in the workers of a pool.
    class_weight : "balanced" or dict, optional
        What the examples of each class count, times ``sample_weight``.
    loss : str or fastgd.Loss, default "log_loss"
        Any that fastgd has for softmax outputs, such as
        ``fastgd.CrossEntropy(label_smoothing=0.1)``; for two classes, or several that may all be
        true, for sigmoid ones, such as ``fastgd.Focal(gamma=2)``.
    dtype : {"float32", "float64"}, optional
        What X is made for the fit; by default as it is.
    dropout : float or sequence of float, default 0
        The share of units a training step leaves out, as in `fastgd.Network`.
    schedule : str, fastgd.Schedule or function of the epoch, optional
        The learning rate, step by step, in place of ``learning_rate``; it lasts ``max_iter``
        epochs. A name such as ``"cosine"`` begins with ``learning_rate_init``.
    validation_data : tuple (X, y) or (X, y, sample_weight), optional
        What early stopping looks at in place of a part of the examples, all of which are then
        trained on. Without early stopping its score is noted in ``validation_scores_``. X is what
        this estimator sees: in a pipeline, after the steps before it.
    callbacks : object or sequence of objects, optional
        Those of `fastgd.Network.fit`: `fastgd.TimeBudget`, `fastgd.EarlyStopping`,
        `fastgd.CSVLog`, or any with ``on_epoch_end(network, epoch, logs)``. The network's
        parameters are those in training; "cost" is the loss, "validation_cost" and
        "validation_score" are there with ``validation_data`` or early stopping.

    Notes
    -----
    L-BFGS has no epochs: it refuses dropout, schedule, validation_data and callbacks.

    Examples
    --------
    >>> from fastgd.sklearn import MLPClassifier
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
    >>> MLPClassifier(solver="lbfgs", random_state=0).fit(X, y).predict([[0.5], [2.5]])
    array(['low', 'high'], dtype='<U4')
    """

    _parameter_constraints: ClassVar[dict] = {
        **neural_network.MLPClassifier._parameter_constraints,
        **ACCEPTED,
        **CLASS_WEIGHT,
        **losses(neural_network.MLPClassifier),
    }
    __init__ = constructor(neural_network.MLPClassifier, {**EXTRAS, "class_weight": None})


class MLPRegressor(OnFastgd, neural_network.MLPRegressor):
    """scikit-learn's MLPRegressor, with the same numbers, faster.

    Parameters
    ----------
    *args, **kwargs
        Those of `sklearn.neural_network.MLPRegressor`.
    loss : str or fastgd.Loss, default "squared_error"
        Also ``"huber"``, ``"absolute_error"``, ``"log_cosh"``, ``fastgd.Quantile(0.9)`` and all
        else that fastgd has for numbers. ``"mse"`` gives L-BFGS the true gradient of several
        outputs, which ``"squared_error"`` in scikit-learn is not.
    backend, threads, dtype, dropout, schedule, validation_data, callbacks
        As in `MLPClassifier`.

    Examples
    --------
    >>> from fastgd.sklearn import MLPRegressor
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 4.0, 6.0]
    >>> fitted = MLPRegressor(solver="lbfgs", activation="identity", random_state=0).fit(X, y)
    >>> round(float(fitted.predict([[1.5]])[0]), 2)
    3.0
    """

    _parameter_constraints: ClassVar[dict] = {
        **neural_network.MLPRegressor._parameter_constraints,
        **ACCEPTED,
        **losses(neural_network.MLPRegressor),
    }
    __init__ = constructor(neural_network.MLPRegressor, EXTRAS)
