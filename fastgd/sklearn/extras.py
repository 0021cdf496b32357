"""What fastgd's estimators take besides scikit-learn's parameters, and what is accepted."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import Parameter, signature
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn import neural_network
from sklearn.base import ClassifierMixin, is_classifier
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from fastgd.backends import CHOICES
from fastgd.engine.listeners import check_callbacks
from fastgd.engine.threads import LIMIT
from fastgd.errors import SettingError, SettingTypeError
from fastgd.rules.checks import check_number
from fastgd.rules.losses import PUBLIC_LOSSES, Loss, losses_for
from fastgd.rules.schedule import Schedule, find_schedule
from fastgd.rules.schedules import SCHEDULES
from fastgd.sklearn.parts import TAKES_WEIGHTS, Interval, Options, StrOptions
from fastgd.sklearn.problem import ACTIVATIONS, loss_for

__all__ = [
    "ACCEPTED", "CLASS_WEIGHT", "EXTRAS", "checked", "constructor", "losses", "measured",
    "only_fastgds", "schedule_of", "validation_of",
]  # fmt: skip

Array = np.ndarray
#: The extras of both, and what they are where nothing is said.
EXTRAS: dict[str, Any] = {
    "backend": None, "threads": "auto", "dtype": None, "dropout": 0.0, "schedule": None,
    "validation_data": None, "callbacks": None,
}  # fmt: skip
#: Those that belong to epochs, which L-BFGS has not.
OF_EPOCHS = ("dropout", "schedule", "validation_data", "callbacks")
#: What is looked at when there are data: `checked`.
LATER = "no_validation"
ACCEPTED: dict[str, Any] = {}
CLASS_WEIGHT: dict[str, Any] = {}
if StrOptions is not None:
    ACCEPTED = {
        "backend": [StrOptions(set(CHOICES)), None],
        "threads": [Interval(Integral, 1, LIMIT, closed="both"), StrOptions({"auto"})],
        "dtype": [
            StrOptions({"float32", "float64"}),
            Options(type, {np.float32, np.float64}),
            None,
        ],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "schedule": [StrOptions(set(SCHEDULES)), Schedule, callable, None],
        "validation_data": LATER,
        "callbacks": LATER,
    }
    CLASS_WEIGHT = {"class_weight": [StrOptions({"balanced"}), dict, None]}


def losses(theirs: type) -> dict[str, Any]:
    """Return what a class takes as loss: scikit-learn's own names, and fastgd's losses."""
    if StrOptions is None:
        return {}
    classes = issubclass(theirs, ClassifierMixin)
    ours = {
        rule.public_name or rule.name
        for rule in PUBLIC_LOSSES.values()
        if rule.batch_average
        and rule.classifies == classes
        and ("sigmoid" if classes else "identity") in rule.outputs
    }
    return {"loss": [StrOptions(ours | _names(theirs)), Loss]}


@cache
def _names(theirs: type) -> frozenset[str]:
    """Return the losses scikit-learn's class computes: asked for in every fit."""
    accepted = theirs._parameter_constraints.get("loss", [])  # type: ignore[attr-defined]
    named = {name for each in accepted for name in getattr(each, "options", ())}
    return frozenset(named | {_default_loss(theirs)})


def _default_loss(theirs: type) -> str:
    return str(theirs().loss)


def constructor(theirs: type, extras: dict[str, Any]) -> Callable:
    """Return scikit-learn's constructor with keyword-only extras, of whatever version it is."""
    inherited = theirs.__init__  # type: ignore[misc]
    own = signature(inherited)
    if "loss" not in own.parameters:
        extras = {**extras, "loss": _default_loss(theirs)}

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        given = {name: kwargs.pop(name, default) for name, default in extras.items()}
        inherited(self, *args, **kwargs)
        for name, value in given.items():
            setattr(self, name, value)

    extra = [Parameter(n, Parameter.KEYWORD_ONLY, default=v) for n, v in extras.items()]
    __init__.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[*own.parameters.values(), *extra]
    )
    return __init__


def only_fastgds(estimator: Any) -> list[str]:
    """Return the parameters of an estimator that scikit-learn's solvers know nothing of."""
    given = [name for name in OF_EPOCHS if _is_given(estimator, name)]
    theirs = neural_network.MLPClassifier if is_classifier(estimator) else _REGRESSOR
    return given + ["loss"] * (estimator.loss not in _names(theirs))


_REGRESSOR = neural_network.MLPRegressor


def _is_given(estimator: Any, name: str) -> bool:
    value = getattr(estimator, name)
    return bool(np.any(value)) if name == "dropout" else value is not None


def checked(estimator: Any, y: Array) -> None:
    """Refuse extras that do not go with each other, or with what is to be learned.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter.
    """
    given = only_fastgds(estimator)
    if estimator.solver == "lbfgs":
        for name in given:
            if name != "loss":
                raise SettingError(name, "must be left out: solver 'lbfgs' has no epochs")
    if "loss" in given:
        _check_loss(estimator)
    if "schedule" in given and estimator.learning_rate != "constant":
        raise SettingError(
            "schedule", f"takes the place of learning_rate={estimator.learning_rate!r}: "
            "leave that 'constant'",
        )  # fmt: skip
    callbacks = check_callbacks(estimator.callbacks) if "callbacks" in given else []
    for part in filter(None, [schedule_of(estimator), *callbacks]):
        if callable(getattr(part, "check", None)):
            part.check(measured(estimator))
    if "validation_data" in given:
        validation_of(estimator, y)
    _check_class_weight(getattr(estimator, "class_weight", None), estimator)


def measured(estimator: Any) -> dict[str, bool | None]:
    """Return what is measured after each epoch, and whether higher is better."""
    names: dict[str, bool | None] = {"cost": False, "learning_rate": None, "seconds": False}
    if estimator.validation_data is not None or estimator.early_stopping:
        names |= {"validation_cost": False, "validation_score": True}
    return names


def _check_loss(estimator: Any) -> None:
    output = _output_of(estimator)
    try:
        loss_for(estimator.loss, output, "float64")
    except SettingError:
        what = {"softmax": "three classes or more", "logistic": "two classes, or several labels"}
        names = [name for name in losses_for(ACTIVATIONS[output]) if name != "sse"]
        raise SettingError(
            "loss", f"must be one for {what.get(output, 'numbers')}: {', '.join(names)}; "
            f"got {estimator.loss}",
        ) from None  # fmt: skip


def _check_class_weight(given: Any, estimator: Any) -> None:
    if not isinstance(given, dict):
        return
    known = estimator.classes_.tolist()
    for label, weight in given.items():
        if label not in known:
            raise SettingError("class_weight", f"names the class {label!r}; y has {known}")
        check_number(f"class_weight[{label!r}]", weight, minimum=0)
    if all(given.get(label, 1) == 0 for label in known):
        raise SettingError("class_weight", "must not be 0 for every class")


def _output_of(estimator: Any) -> str:
    """Return the output scikit-learn would choose, before it has."""
    if not is_classifier(estimator):
        return "exp" if estimator.loss == "poisson" else "identity"
    return "softmax" if estimator._label_binarizer.y_type_ == "multiclass" else "logistic"


def schedule_of(estimator: Any) -> Schedule | None:
    """Return the schedule an estimator is given; a name alone begins at learning_rate_init."""
    given = estimator.schedule
    if given is None:
        return None
    if not isinstance(given, str):
        try:
            return find_schedule(given)
        except (SettingError, SettingTypeError) as error:
            raise type(error)("schedule", error.problem) from None
    try:
        return SCHEDULES[given](estimator.learning_rate_init)  # type: ignore[call-arg]
    except TypeError:
        raise SettingError("schedule", f"{given!r} needs more than a rate: make one") from None


def validation_of(estimator: Any, y: Array) -> tuple[Any, Array, Array | None]:
    """Return an estimator's validation data as scikit-learn's score takes them.

    Raises
    ------
    TypeError, ValueError
        If they are no pair or triple of arrays that go with the examples.
    """
    given = estimator.validation_data
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        raise SettingTypeError(
            "validation_data", "must be a tuple (X, y) or (X, y, sample_weight); "
            f"got {_kind(given)}",
        )  # fmt: skip
    X, targets, *weights = given
    try:
        X = validate_data(
            estimator, X, accept_sparse=["csr", "csc"], reset=False,
            dtype=(np.float64, np.float32),
        )  # fmt: skip
        targets = _targets_of(estimator, targets, y)
        check_consistent_length(X, targets)
        weight = _check_sample_weight(weights[0], X) if weights else None
    except ValueError as error:
        raise SettingError("validation_data", f"does not go with the examples: {error}") from None
    if weight is not None and not TAKES_WEIGHTS:
        raise SettingError("validation_data", "takes weights from scikit-learn 1.7 on")
    return X, targets, weight


def _kind(given: Any) -> str:
    length = f" of {len(given)}" if isinstance(given, (tuple, list)) else ""
    return f"{type(given).__name__}{length}"


def _targets_of(estimator: Any, targets: Any, y: Array) -> Array:
    if not is_classifier(estimator):
        targets = check_array(targets, ensure_2d=False, dtype=np.float64, input_name="y")
        one = y.ndim == 1 or y.shape[1] == 1
        targets = targets.ravel() if one and targets.size == len(targets) else targets
        if np.shape(targets)[1:] != (() if one else y.shape[1:]):
            raise ValueError(f"y has shape {targets.shape}; the examples' has {y.shape}")
        return targets
    several = estimator._label_binarizer.y_type_.startswith("multilabel")
    if several:
        targets = check_array(targets, accept_sparse=True, input_name="y")
        return targets
    targets = column_or_1d(targets)
    unknown = sorted(set(targets.tolist()) - set(estimator.classes_.tolist()), key=str)
    if unknown:
        raise ValueError(f"y has classes the examples have not: {unknown}")
    return targets
