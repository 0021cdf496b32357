"""What fastgd is measured against, each tool at its best.

Every rival does the same work (`fastgd.benchmarks.trainers`, `fastgd.benchmarks.predicting`). Its
package is imported when it is used, never before: JAX and BLAS count the cores they may use on
import.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import numpy as np

from fastgd.benchmarks import predicting, trainers
from fastgd.benchmarks.trainers import Trainer
from fastgd.benchmarks.workloads import Parameters, Workload
from fastgd.errors import MissingExtraError, SettingError
from fastgd.rules.registry import Registry

__all__ = ["MOSTLY_ZEROS", "RIVALS", "Rival", "missing"]

Array = np.ndarray

#: Inputs of which such a share is zero are for rivals that leave zeros out, too.
MOSTLY_ZEROS = 0.5


@dataclass(frozen=True)
class Rival:
    """A tool to measure against.

    Attributes
    ----------
    name : str
        The name on the command line.
    trainer, predictor : type, or None
        The ``Trainer`` that runs its steps, and the one that runs its predictions.
    module, package : str
        What is imported, and what pip installs, with spaces between several; empty where NumPy
        is enough.
    replaces : tuple of (output, loss)
        Where it trains a loss of its own instead; see the trainer.
    sparse : bool
        Whether it is for inputs that are mostly zeros, which it leaves out.
    optimizers : tuple of (name, module)
        What it trains with, and what that needs beside its own module.
    threaded : bool
        Whether several threads can be of any use to it.
    """

    name: str
    trainer: type[Trainer] | None
    module: str = ""
    package: str = ""
    replaces: tuple[tuple[str, str], ...] = ()
    predictor: type[Trainer] | None = None
    sparse: bool = False
    optimizers: tuple[tuple[str, str], ...] = (("sgd", ""), ("adam", ""))
    threaded: bool = True

    def available(self) -> str | None:
        """Return None, or in one line why it cannot run here; imports nothing."""
        return missing(self.module, self.package)

    def lacks(self, workload: Workload) -> str | None:
        """Return None, or in one line what this workload needs that is not here."""
        module = dict(self.optimizers).get(workload.optimizer, "")
        return missing(module, module) if workload.task == "step" else None

    def takes(self, workload: Workload, zeros: float = 1.0) -> bool:
        """Return whether it does that work at all, on inputs of which such a share is zero."""
        if (self.sparse and zeros < MOSTLY_ZEROS) or (workload.threads > 1 and not self.threaded):
            return False
        if workload.task == "predict":
            return self.predictor is not None
        return self.trainer is not None and workload.optimizer in dict(self.optimizers)

    def prepare(self, workload: Workload, X: Array, y: Array, parameters: Parameters) -> Trainer:
        """Return a trainer with the data in place.

        Raises
        ------
        fastgd.errors.MissingExtraError
            If its package is not installed.
        fastgd.errors.SettingError
            If it does not do such work.

        Examples
        --------
        >>> from fastgd.benchmarks import workloads
        >>> table = workloads.WORKLOADS["table"]
        >>> X, y, _ = workloads.load_data(table)
        >>> start = workloads.initial_parameters(table, seed=1)
        >>> trainer = RIVALS["numpy"].prepare(table, X, y, start)
        >>> W, b = trainer.run(np.arange(5 * table.batch_size))[0]
        >>> W.shape
        (8, 64)
        """
        reason = self.available() or self.lacks(workload)
        if reason:
            raise MissingExtraError(f"rival {self.name!r}: {reason}")
        kind = self.predictor if workload.task == "predict" else self.trainer
        if kind is None or not self.takes(workload):
            raise SettingError("workload", f"must be one {self.name} does; got {workload.name!r}")
        return kind(workload, X, y, parameters)

    def same_loss(self, workload: Workload) -> bool:
        """Return whether it trains the workload's own loss, to the same parameters."""
        if workload.task == "predict":
            return True
        two = bool(self.replaces) and workload.output == "softmax" and workload.sizes[-1] == 2
        return not two and (workload.output, workload.loss) not in self.replaces


def missing(modules: str, packages: str) -> str | None:
    """Return None, or in one line which of the modules is not there; imports nothing.

    >>> missing("numpy no_such_thing", "numpy no-such-thing")
    'no-such-thing is not installed: pip install no-such-thing (or fastgd[bench])'
    """
    for module, package in zip(modules.split(), packages.split(), strict=True):
        if importlib.util.find_spec(module) is None:
            return f"{package} is not installed: pip install {package} (or fastgd[bench])"
    return None


_SKLEARN = ("sklearn", "scikit-learn", (("sigmoid", "quadratic"),))

RIVALS: Registry[Rival] = Registry(
    "rival",
    [
        Rival("numpy", trainers.NumpyTrainer, predictor=predicting.NumpyPredictor),
        Rival("scipy-csr", trainers.ScipyTrainer, "scipy", "scipy", sparse=True,
              predictor=predicting.ScipyPredictor),
        Rival("nielsen", trainers.NielsenTrainer, optimizers=(("sgd", ""),), threaded=False),
        Rival("sklearn", trainers.SklearnTrainer, *_SKLEARN, predicting.SklearnPredictor),
        Rival("sklearn-csr", trainers.SklearnSparseTrainer, *_SKLEARN,
              predicting.SklearnSparsePredictor, sparse=True),
        Rival("torch", trainers.TorchTrainer, "torch", "torch",
              predictor=predicting.TorchPredictor),
        Rival("jax", trainers.JaxTrainer, "jax", "jax", predictor=predicting.JaxPredictor,
              optimizers=(("sgd", ""), ("adam", "optax"))),
        Rival("onnxruntime", None, "onnx onnxruntime", "onnx onnxruntime",
              predictor=predicting.OnnxPredictor),
    ],
)  # fmt: skip
