"""`MLPClassifier` and `MLPRegressor`: scikit-learn's own classes, their arithmetic fastgd's."""

from __future__ import annotations

import time
from collections.abc import Callable
from inspect import Parameter, signature
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn import neural_network
from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron
from sklearn.utils import compute_sample_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, validate_data

from fastgd.backends import CHOICES
from fastgd.network import Network
from fastgd.rules.optimizers import TINY
from fastgd.sklearn import log
from fastgd.sklearn.networks import network_of
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
from fastgd.sklearn.training import TAKES_WEIGHTS, Arguments, Training
from fastgd.sklearn.whole import Whole

__all__ = ["MLPClassifier", "MLPRegressor"]

Array = np.ndarray
#: scikit-learn's own steps, whose place fastgd takes: where a subclass has others, theirs are made.
REPLACED = (
    "_backprop", "_compute_loss_grad", "_fit_lbfgs", "_fit_stochastic", "_forward_pass",
    "_loss_grad_lbfgs", "_unpack",
)  # fmt: skip
#: What a version of scikit-learn must have for fastgd to take the place of its solvers.
NEEDED = {
    "_fit_stochastic": {
        "X", "y", "activations", "deltas", "coef_grads", "intercept_grads", "layer_units",
        "incremental",
    },
    "_fit_lbfgs": {
        "X", "y", "activations", "deltas", "coef_grads", "intercept_grads", "layer_units",
    },
    "_backprop": {"X", "y", "activations", "deltas", "coef_grads", "intercept_grads"},
    "_loss_grad_lbfgs": {"packed_coef_inter", "X", "y"},
    "_forward_pass_fast": {"X", "check_input"},
    "_update_no_improvement_count": {"early_stopping", "X", "y"},
}  # fmt: skip


def _moved() -> str:
    """Return which of scikit-learn's private parts are not where they were; empty where none."""
    for name, needed in NEEDED.items():
        method = getattr(BaseMultilayerPerceptron, name, None)
        found = set(signature(method).parameters) if method else set()
        if not needed <= found or not found <= needed | {"self", "sample_weight"} | {
            n for n in found if name == "_loss_grad_lbfgs" or n.endswith("_val")
        }:
            import sklearn

            return f"scikit-learn {sklearn.__version__} has another {name}"
    return ""


MOVED = _moved()
SOLVERS = {
    name: [p for p in signature(getattr(BaseMultilayerPerceptron, name)).parameters][1:]
    for name in ("_fit_stochastic", "_fit_lbfgs")
    if not MOVED
}


class OnFastgd:
    """What both estimators have in common; scikit-learn's class comes after it."""

    def _fit_stochastic(self, *values: Any) -> None:
        self._solve("_fit_stochastic", values, self._train)

    def _fit_lbfgs(self, *values: Any) -> None:
        self._solve("_fit_lbfgs", values, self._minimize)

    def _solve(self, name: str, values: tuple, solver: Callable[[Arguments], str]) -> None:
        """Run a solver on fastgd, or scikit-learn's own, and tell who listens."""
        started = time.perf_counter()
        given = None if MOVED else Arguments.of(SOLVERS[name], values)
        reason = MOVED or self._why_not(given)
        used = None
        if reason:
            self._check_extras(reason)
            getattr(super(), name)(*values)
        else:
            used = computer(self).__name__.rpartition(".")[2]
            reason = solver(given)
        seconds = time.perf_counter() - started
        log.tell(log.Fit(type(self).__name__, seconds, used, reason))

    def _train(self, given: Arguments) -> str:
        training = Training(self, given, self.coefs_[0].dtype)
        training.run()
        return "numbers that are not finite" if training.by_hand else ""

    def _minimize(self, given: Arguments) -> str:
        problem = Problem.of(self, given.X, given.y, given.sample_weight, np.float64)
        self._whole = Whole(self, problem)
        values = [getattr(given, n, None) for n in SOLVERS["_fit_lbfgs"]]
        names = SOLVERS["_fit_lbfgs"]
        lists = dict(
            zip(
                ("activations", "deltas", "coef_grads", "intercept_grads"), given.lists, strict=True
            )
        )
        values = [lists.get(name, value) for name, value in zip(names, values, strict=True)]
        try:
            super()._fit_lbfgs(*values)
        finally:
            del self._whole
        return ""

    def _loss_grad_lbfgs(self, packed_coef_inter: Array, *values: Any) -> tuple[float, Array]:
        whole = self.__dict__.get("_whole")
        if whole is not None:
            loss, gradient = whole.loss_and_gradient(packed_coef_inter)
            if np.isfinite(loss):
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
        if self.loss not in LOSSES:
            return f"loss {self.loss!r}"
        if self.out_activation_ == "softmax" and (given.y.sum(axis=1) != 1).any():
            return "an example has no class, or several"
        return ""

    def _check_extras(self, reason: str) -> None:
        """Refuse to leave to scikit-learn what only fastgd does."""
        if self.dropout:
            raise ValueError(
                f"dropout={self.dropout!r} needs fastgd, which cannot fit this: {reason}"
            )

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
        X, y = super()._validate_input(X, y, *values, **named)
        if self.dtype is not None:
            X = X.astype(self.dtype, copy=False)
        return X, y

    @property
    def network_(self) -> Network:
        """The `fastgd.Network` of the fitted coefficients, with the classes: a copy."""
        return network_of(self)


def _overridden(cls: type, name: str) -> bool:
    """Return whether a class has a step that is neither scikit-learn's nor fastgd's."""
    own = (OnFastgd, BaseMultilayerPerceptron)
    return next(c for c in cls.__mro__ if name in vars(c)) not in own


#: The extras of both, and what they accept.
EXTRAS: dict[str, Any] = {"backend": None, "threads": "auto", "dropout": 0.0, "dtype": None}
ACCEPTED: dict[str, list] = {
    "backend": [StrOptions(set(CHOICES)), None],
    "threads": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "dtype": [StrOptions({"float32", "float64"}), None],
}


def _constructor(inherited: Callable, extras: dict[str, Any]) -> Callable:
    """Return scikit-learn's constructor with keyword-only extras, of whatever version it is."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        for name, default in extras.items():
            setattr(self, name, kwargs.pop(name, default))
        inherited(self, *args, **kwargs)

    own = signature(inherited)
    extra = [Parameter(n, Parameter.KEYWORD_ONLY, default=v) for n, v in extras.items()]
    __init__.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[*own.parameters.values(), *extra]
    )
    return __init__


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
    dropout : float or sequence of float, default 0
        The share of units a training step leaves out, as in `fastgd.Network`; not with L-BFGS.
    dtype : {"float32", "float64"}, optional
        What X is made for the fit; by default as it is.

    Examples
    --------
    >>> from fastgd.sklearn import MLPClassifier
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
    >>> MLPClassifier(solver="lbfgs", random_state=0).fit(X, y).predict([[0.5], [2.5]])
    array(['low', 'high'], dtype='<U4')
    """

    _parameter_constraints: dict = {
        **neural_network.MLPClassifier._parameter_constraints,
        **ACCEPTED,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }
    __init__ = _constructor(neural_network.MLPClassifier.__init__, {**EXTRAS, "class_weight": None})


class MLPRegressor(OnFastgd, neural_network.MLPRegressor):
    """scikit-learn's MLPRegressor, with the same numbers, faster.

    Parameters
    ----------
    *args, **kwargs
        Those of `sklearn.neural_network.MLPRegressor`.
    backend, threads, dropout, dtype
        As in `MLPClassifier`.

    Examples
    --------
    >>> from fastgd.sklearn import MLPRegressor
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 4.0, 6.0]
    >>> fitted = MLPRegressor(solver="lbfgs", activation="identity", random_state=0).fit(X, y)
    >>> round(float(fitted.predict([[1.5]])[0]), 2)
    3.0
    """

    _parameter_constraints: dict = {
        **neural_network.MLPRegressor._parameter_constraints,
        **ACCEPTED,
    }
    __init__ = _constructor(neural_network.MLPRegressor.__init__, EXTRAS)
