"""Estimators and networks into each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted

from fastgd.errors import SettingError
from fastgd.network import Network
from fastgd.sklearn.problem import ACTIVATIONS, flat_parameters

__all__ = ["fill_from", "network_of"]

Array = np.ndarray
NAMES = {ours: theirs for theirs, ours in ACTIVATIONS.items()}
#: What networks of estimators are called.
LOSSES = {"log_loss": "cross_entropy", "squared_error": "quadratic", "poisson": "poisson"}


def network_of(estimator: Any) -> Network:
    """Return the network of a fitted estimator, a copy; it knows the classes."""
    check_is_fitted(estimator)
    coefs = estimator.coefs_
    network = Network(
        [*(len(W) for W in coefs), coefs[-1].shape[1]],
        activation=ACTIVATIONS[estimator.activation],
        output=ACTIVATIONS[estimator.out_activation_],
        loss=LOSSES.get(estimator.loss, estimator.loss),
        dtype=coefs[0].dtype,
        seed=0,
        backend=getattr(estimator, "backend", None),
    )
    network.state.parameters[:] = flat_parameters(
        network.architecture.layout, coefs, estimator.intercepts_, coefs[0].dtype
    )
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
    architecture = network.architecture
    hidden = {rule.name for rule in architecture.activation} or {"identity"}
    output = architecture.output.name
    wanted = ("sigmoid", "softmax") if classifier else ("identity", "exp")
    if len(hidden) > 1 or not hidden <= {"identity", "sigmoid", "tanh", "relu"}:
        raise SettingError("network", f"must have one activation scikit-learn has; got {hidden}")
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
    _set_state(estimator, coefs, intercepts, NAMES[output])
    if classifier and estimator.n_outputs_ == 1:
        estimator.out_activation_ = "logistic"


def _fold_scaling(network: Network, coefs: list[Array], intercepts: list[Array]) -> None:
    """Put what a network does to inputs and outputs into its first and last layer."""
    a = network.architecture
    if a.input_columns is not None or a.input_scale != 1.0:
        shift, scale = a.input_columns or (np.zeros(a.n_inputs), a.input_scale)
        scaled = (coefs[0].T.astype(np.float64) * scale).T
        intercepts[0] = (intercepts[0] - shift @ scaled).astype(a.dtype)
        coefs[0] = scaled.astype(a.dtype)
    if a.output_columns is not None:
        if a.output.name != "identity":
            raise SettingError("network", "must not scale its outputs unless they are identity")
        shift, scale = a.output_columns
        coefs[-1] = (coefs[-1] * scale).astype(a.dtype)
        intercepts[-1] = (intercepts[-1] * scale + shift).astype(a.dtype)


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
