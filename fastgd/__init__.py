"""fastgd: small dense neural networks, trained by gradient descent on a CPU, fast.

>>> import fastgd
>>> net = fastgd.Network([4, 8, 3], output="softmax", loss="cross_entropy", seed=1)
>>> net.n_parameters
67
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import fastgd.starting as _starting  # first: Ctrl-C from here on  # noqa: F401
from fastgd.backends import set_backend, show_backends
from fastgd.engine.callbacks import BestParameters, CSVLog, EarlyStopping, TimeBudget
from fastgd.engine.history import History
from fastgd.errors import (
    DataError,
    DivergenceError,
    MissingExtraError,
    ModelFileError,
    WriteError,
)
from fastgd.network import Network, load
from fastgd.rules.activations import (
    ELU,
    GELU,
    SELU,
    Exp,
    GELUTanh,
    HardSigmoid,
    LeakyReLU,
    SiLU,
    Softplus,
    Softsign,
)
from fastgd.rules.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Focal,
    Hinge,
    Huber,
    LogCosh,
    Poisson,
    Quantile,
)
from fastgd.rules.optimizers import (
    LBFGS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    AMSGrad,
    Lion,
    Nadam,
    RMSprop,
    Rprop,
)
from fastgd.rules.schedules import (
    Constant,
    Cosine,
    CosLog,
    Exponential,
    InverseScaling,
    OneCycle,
    Piecewise,
    Polynomial,
    ReduceOnPlateau,
    Step,
    Warmup,
)
from fastgd.version import __version__ as __version__

if TYPE_CHECKING:
    from fastgd.descent import descend
    from fastgd.explain.rates import suggest_learning_rate
    from fastgd.progress import Progress
    from fastgd.tables import Model, Table, train

__all__ = [
    "ELU",
    "GELU",
    "LBFGS",
    "SELU",
    "SGD",
    "AMSGrad",
    "AbsoluteError",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "BestParameters",
    "BinaryCrossEntropy",
    "CSVLog",
    "Constant",
    "CosLog",
    "Cosine",
    "CrossEntropy",
    "DataError",
    "DivergenceError",
    "EarlyStopping",
    "Exp",
    "Exponential",
    "Focal",
    "GELUTanh",
    "HardSigmoid",
    "Hinge",
    "History",
    "Huber",
    "InverseScaling",
    "LeakyReLU",
    "Lion",
    "LogCosh",
    "MissingExtraError",
    "Model",
    "ModelFileError",
    "Nadam",
    "Network",
    "OneCycle",
    "Piecewise",
    "Poisson",
    "Polynomial",
    "Progress",
    "Quantile",
    "RMSprop",
    "ReduceOnPlateau",
    "Rprop",
    "SiLU",
    "Softplus",
    "Softsign",
    "Step",
    "Table",
    "TimeBudget",
    "Warmup",
    "WriteError",
    "descend",
    "load",
    "set_backend",
    "show_backends",
    "suggest_learning_rate",
    "train",
    "warmup",
]


def warmup(dtype: str | None = None) -> None:
    """Compile the kernels ahead of their first use, or load them from the cache.

    Parameters
    ----------
    dtype : {"float32", "float64"}, optional
        The number type to compile for; both by default.
    """
    for name in ("float32", "float64") if dtype is None else (dtype,):
        Network([1, 1], dtype=name, init="zeros").predict([[0.0]])


#: What is loaded when it is first used: modules, and functions with the module they are in.
_MODULES = ("book", "data", "explain", "plot", "tables")
_FUNCTIONS = {
    "Model": "tables",
    "Progress": "progress",
    "Table": "tables",
    "descend": "descent",
    "suggest_learning_rate": "explain.rates",
    "train": "tables",
}


def __dir__() -> list[str]:
    return [*__all__, "__version__", *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"fastgd.{name}")
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f"fastgd.{_FUNCTIONS[name]}"), name)
    raise AttributeError(f"module 'fastgd' has no attribute {name!r}")
