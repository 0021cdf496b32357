"""Estimators and networks into each other."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    LabelBinarizer,
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils.validation import check_is_fitted

from fastgd.errors import SettingError, SettingTypeError
from fastgd.network import Network
from fastgd.sklearn.problem import ACTIVATIONS, flat_parameters

__all__ = ["fill_from", "network_of", "to_network"]

Array = np.ndarray
NAMES = {ours: theirs for theirs, ours in ACTIVATIONS.items()}
#: What networks of estimators are called.
LOSSES = {"log_loss": "cross_entropy", "squared_error": "quadratic", "poisson": "poisson"}


def to_network(model: Any) -> Network:
    """Return a fitted model as a network, with its classes and scaling: a copy.

    Parameters
    ----------
    model : estimator
        An MLPClassifier or MLPRegressor, fastgd's or scikit-learn's own; a `Pipeline` that ends
        with one, after scalers alone (`StandardScaler`, `MinMaxScaler`, `MaxAbsScaler`,
        `RobustScaler`); or a `TransformedTargetRegressor` of these whose transformer is a scaler.

    Returns
    -------
    fastgd.Network
        It takes what the model takes; ``save`` it, and the command line reads it.

    Raises
    ------
    ValueError
        If the model is anything else; the message names it.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from fastgd.sklearn import MLPClassifier, to_network
    >>> X, y = [[0.0], [10.0], [20.0], [30.0]], ["low", "low", "high", "high"]
    >>> model = make_pipeline(StandardScaler(), MLPClassifier(solver="lbfgs", random_state=0))
    >>> to_network(model.fit(X, y)).predict_classes([[5.0], [25.0]]).tolist()
    ['low', 'high']
    """
    outputs: dict[str, Any] = {}
    if isinstance(model, TransformedTargetRegressor):
        check_is_fitted(model)
        shift, scale = _scaling_of(model.transformer_)
        outputs = {"output_shift": shift, "output_scale": 1 / scale}
        model = model.regressor_
    names = getattr(model, "feature_names_in_", None)
    steps = [step for _, step in model.steps] if isinstance(model, Pipeline) else [model]
    *before, estimator = steps
    if not isinstance(estimator, (MLPClassifier, MLPRegressor)):
        raise SettingError("model", f"must be, or end with, an MLP; got {_name(estimator)}")
    shift, scale = 0.0, 1.0
    for step in before:
        if step not in (None, "passthrough"):
            more, times = _scaling_of(step)
            shift, scale = shift + more / scale, scale * times
    if before or outputs:
        outputs |= {"input_shift": shift, "input_scale": scale}
    network = network_of(estimator, **outputs)
    if names is not None:
        network.notes["feature_names"] = json.dumps(list(names), ensure_ascii=False)
    return network


def _name(thing: Any) -> str:
    return thing if isinstance(thing, str) else type(thing).__name__


def _scaling_of(scaler: Any) -> tuple[Any, Any]:
    """Return shift and scale of what makes (X - shift) * scale of X."""
    if isinstance(scaler, (StandardScaler, RobustScaler, MinMaxScaler, MaxAbsScaler)):
        check_is_fitted(scaler)
    if isinstance(scaler, MinMaxScaler) and not scaler.clip:
        return -scaler.min_ / scaler.scale_, scaler.scale_
    if isinstance(scaler, (StandardScaler, RobustScaler, MaxAbsScaler)):
        center = getattr(scaler, "mean_", getattr(scaler, "center_", None))
        if isinstance(scaler, StandardScaler) and not scaler.with_mean:
            center = None
        divisor = 1.0 if scaler.scale_ is None else scaler.scale_
        return 0.0 if center is None else center, 1 / divisor
    raise SettingError("model", f"must scale its columns alone; got {_name(scaler)}")


def network_of(estimator: Any, **scaling: Any) -> Network:
    """Return the network of a fitted estimator, a copy; it knows the classes."""
    check_is_fitted(estimator)
    coefs = estimator.coefs_
    network = Network(
        [*(len(W) for W in coefs), coefs[-1].shape[1]],
        activation=ACTIVATIONS[estimator.activation],
        output=ACTIVATIONS[estimator.out_activation_],
        loss=LOSSES.get(estimator.loss, estimator.loss),
        dtype=coefs[0].dtype,
        dropout=getattr(estimator, "dropout", 0.0),
        seed=0,
        backend=getattr(estimator, "backend", None),
        **scaling,
    )
    network.state.parameters[:] = flat_parameters(
        network.architecture.layout, coefs, estimator.intercepts_, coefs[0].dtype
    )
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:  # the command line then knows columns in another order
        network.notes["feature_names"] = json.dumps(list(names), ensure_ascii=False)
    classes = getattr(estimator, "classes_", None)
    if classes is not None and len(classes) == network.architecture.n_classes:
        network.classes = classes
    return network


def fill_from(estimator: Any, network: Network, classifier: bool) -> None:
    """Make an estimator one that was fitted, to the parameters of a network.

    Raises
    ------
    ValueError
        If scikit-learn's estimators cannot be such a network.
    """
    if not isinstance(network, Network):
        raise SettingTypeError("network", f"must be a fastgd.Network; got {type(network).__name__}")
    architecture = network.architecture
    hidden = {rule.name for rule in architecture.activation} or {"identity"}
    output = architecture.output.name
    wanted = ("sigmoid", "softmax") if classifier else ("identity", "exp")
    if len(hidden) > 1 or not hidden <= {"identity", "sigmoid", "tanh", "relu"}:
        raise SettingError("network", f"must have one activation scikit-learn has; got {hidden}")
    if classifier and output == "sigmoid" and architecture.n_outputs > 1:
        raise SettingError("network", "must have softmax outputs, to tell several classes apart")
    if output not in wanted:
        raise SettingError("network", f"must have output {' or '.join(wanted)}; got {output!r}")
    estimator.activation = NAMES[hidden.pop()]
    coefs = [W.copy() for W in network.weights]
    intercepts = [b.copy() for b in network.biases]
    _fold_scaling(network, coefs, intercepts)
    if classifier:
        _sort_classes(estimator, network, coefs, intercepts)
    elif output == "exp":
        estimator.loss = "poisson"
    elif not architecture.loss.squared:
        estimator.loss = architecture.loss
    estimator.dropout = network.architecture.dropout if architecture.has_dropout else 0.0
    _set_state(estimator, coefs, intercepts, NAMES[output])
    if classifier and estimator.n_outputs_ == 1:
        estimator.out_activation_ = "logistic"


def _fold_scaling(network: Network, coefs: list[Array], intercepts: list[Array]) -> None:
    """Put what a network does to inputs and outputs into its first and last layer.

    In float64, whatever the network is: in float32 large shifts would leave little of the numbers.
    """
    a = network.architecture
    scales_inputs = a.input_columns is not None or a.input_scale != 1.0
    if scales_inputs or a.output_columns is not None:
        coefs[:] = [W.astype(np.float64) for W in coefs]
        intercepts[:] = [b.astype(np.float64) for b in intercepts]
    if scales_inputs:
        shift, scale = a.input_columns or (np.zeros(a.n_inputs), a.input_scale)
        coefs[0] = (coefs[0].T * scale).T
        intercepts[0] = intercepts[0] - shift @ coefs[0]
    if a.output_columns is not None:
        if a.output.name != "identity":
            raise SettingError("network", "must not scale its outputs unless they are identity")
        shift, scale = a.output_columns
        coefs[-1] = coefs[-1] * scale
        intercepts[-1] = intercepts[-1] * scale + shift


def _sort_classes(
    estimator: Any, network: Network, coefs: list[Array], intercepts: list[Array]
) -> None:
    """Name the classes in scikit-learn's order, and bring the outputs into it.

    Two softmax outputs become the one sigmoid output that says the same.
    """
    classes = network.classes
    if classes is None:
        raise SettingError("network", "must tell classes apart")
    estimator._label_binarizer = LabelBinarizer().fit(classes)
    estimator.classes_ = estimator._label_binarizer.classes_
    order = np.argsort(classes)
    if coefs[-1].shape[1] == 1:
        if order[0] == 1:
            coefs[-1], intercepts[-1] = -coefs[-1], -intercepts[-1]
    elif len(classes) == 2 and network.architecture.output.row_wise:
        coefs[-1] = coefs[-1][:, order[1:]] - coefs[-1][:, order[:1]]
        intercepts[-1] = intercepts[-1][order[1:]] - intercepts[-1][order[:1]]
    else:
        coefs[-1], intercepts[-1] = coefs[-1][:, order], intercepts[-1][order]


def _set_state(
    estimator: Any, coefs: list[Array], intercepts: list[Array], out_activation: str
) -> None:
    """Set what scikit-learn's fit would have set."""
    estimator.coefs_, estimator.intercepts_ = coefs, intercepts
    estimator.hidden_layer_sizes = tuple(len(W) for W in coefs[1:])
    estimator.out_activation_ = out_activation
    estimator.n_layers_ = len(coefs) + 1
    estimator.n_outputs_ = coefs[-1].shape[1]
    estimator.n_features_in_ = len(coefs[0])
    estimator.n_iter_ = estimator.t_ = 0
    estimator._best_coefs = [W.copy() for W in coefs]
    estimator._best_intercepts = [b.copy() for b in intercepts]
    estimator.loss_curve_, estimator._no_improvement_count = [], 0
    estimator.best_loss_, estimator.loss_ = np.inf, np.inf
    estimator.validation_scores_ = estimator.best_validation_score_ = None
