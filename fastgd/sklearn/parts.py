"""The private parts of scikit-learn that fastgd stands on, and whether they are where they were."""

from __future__ import annotations

from inspect import signature
from typing import Any

import sklearn
from sklearn.neural_network import MLPClassifier

__all__ = [
    "MOVED",
    "SOLVERS",
    "TAKES_WEIGHTS",
    "Base",
    "Interval",
    "Options",
    "StrOptions",
    "optimizers",
]

#: The class that has the solvers.
Base: Any = next((c for c in MLPClassifier.__mro__ if "_fit" in vars(c)), MLPClassifier)

LISTS = ["activations", "deltas", "coef_grads", "intercept_grads"]
#: The arguments of the methods whose place fastgd takes, and of those it calls; some versions
#: have weights as well.
NEEDED = {
    "_fit_stochastic": ["X", "y", *LISTS, "layer_units", "incremental"],
    "_fit_lbfgs": ["X", "y", *LISTS, "layer_units"],
    "_backprop": ["X", "y", *LISTS],
    "_loss_grad_lbfgs": ["packed_coef_inter", "X", "y", *LISTS],
    "_forward_pass_fast": ["X", "check_input"],
    "_update_no_improvement_count": ["early_stopping", "X", "y"],
}  # fmt: skip


def _arguments(name: str) -> list[str]:
    method = getattr(Base, name, None)
    return [*signature(method).parameters][1:] if method else []


def _moved() -> str:
    """Return what is not where it was; empty where all is."""
    version = f"scikit-learn {sklearn.__version__}"
    for name, needed in NEEDED.items():
        found = [n.removesuffix("_val") for n in _arguments(name) if n != "sample_weight"]
        if found != needed:
            return f"{version} has another {name}"
    if optimizers is None:
        return f"{version} has its optimizers elsewhere"
    return ""


try:
    from sklearn.neural_network import _stochastic_optimizers as optimizers
except ImportError:
    optimizers = None
try:
    from sklearn.utils._param_validation import Interval, Options, StrOptions
except ImportError:
    Interval = Options = StrOptions = None

#: Why nothing can be fitted on fastgd with this version of scikit-learn; empty where it can.
MOVED = _moved()
#: The solvers, and the names of their arguments.
SOLVERS = {name: _arguments(name) for name in ("_fit_stochastic", "_fit_lbfgs")}
#: Before 1.7, fit takes no sample_weight.
TAKES_WEIGHTS = "sample_weight" in _arguments("_backprop")
