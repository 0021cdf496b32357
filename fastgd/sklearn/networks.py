"""Estimators and networks into each other."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from fastgd.engine.labels import Labels
from fastgd.network import Network
from fastgd.sklearn.problem import ACTIVATIONS, flat_parameters

__all__ = ["from_network", "network_of"]


def network_of(estimator: Any) -> Network:
    """Return the network of a fitted estimator, a copy."""
    check_is_fitted(estimator)
    coefs = estimator.coefs_
    losses = {"log_loss": "cross_entropy", "squared_error": "quadratic"}
    network = Network(
        [*(len(W) for W in coefs), coefs[-1].shape[1]],
        activation=ACTIVATIONS[estimator.activation],
        output=ACTIVATIONS[estimator.out_activation_],
        loss=losses.get(estimator.loss, estimator.loss),
        dtype=coefs[0].dtype,
        seed=0,
        backend=getattr(estimator, "backend", None),
    )
    network.state.parameters[:] = flat_parameters(
        network.architecture.layout, coefs, estimator.intercepts_, coefs[0].dtype
    )
    return network
