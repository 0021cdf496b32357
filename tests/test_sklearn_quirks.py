"""What scikit-learn's MLPs do otherwise than one would think, matched; and what fastgd has besides.

Each test shows the quirk in scikit-learn itself: where a newer one does better, it fails, and
docs/sklearn.md, which lists them, has to change.
"""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import neural_network
from sklearn.datasets import load_iris

import fastgd
import fastgd.sklearn
from fastgd.sklearn.parts import TAKES_WEIGHTS

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # SciPy's, of what older versions of scikit-learn pass it.
    pytest.mark.filterwarnings("ignore:scipy.optimize:DeprecationWarning"),
]
BOTH = (neural_network, fastgd.sklearn)
X, CLASSES = load_iris(return_X_y=True)
X = X - X.mean(axis=0)
NUMBERS = X[:, :2] @ [1.0, -2.0]


def both(name, **settings):
    """Return scikit-learn's estimator and fastgd's."""
    settings = {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 5, **settings}
    return [getattr(module, name)(**settings) for module in BOTH]


def same(ours, theirs):
    for name in ("coefs_", "intercepts_"):
        for actual, expected in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-6)


def loss_at(model, X, Y):
    """Return half the mean squared error, without the penalty."""
    return 0.5 * np.mean((model.predict(X) - Y) ** 2)


@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
def test_the_gradient_of_several_outputs_is_not_that_of_the_loss(solver):
    """The loss is a mean over the outputs, the gradient a sum (issue 8349)."""
    Y = X[:, :3] @ np.random.default_rng(0).normal(size=(3, 3))
    theirs, ours = both("MLPRegressor", solver=solver, alpha=0.0, max_iter=30)
    same(ours.fit(X, Y), theirs.fit(X, Y))

    # One step of plain descent: three times what the loss it reports would give.
    rate = 1e-4
    how = {"solver": "sgd", "learning_rate_init": rate, "momentum": 0.0, "alpha": 0.0}
    before, _ = both("MLPRegressor", max_iter=1, **{**how, "learning_rate_init": 1e-30})
    after, _ = both("MLPRegressor", max_iter=1, batch_size=len(X), **how)
    before.fit(X, Y)
    moved = (before.intercepts_[-1] - after.fit(X, Y).intercepts_[-1]) / rate
    slope = (before.predict(X) - Y).mean(axis=0) / Y.shape[1]
    np.testing.assert_allclose(moved, 3 * slope, rtol=1e-6)

    # fastgd's networks have both: the mean and its gradient, or the sum and its.
    network = fastgd.Network([4, 5, 3], output="identity", loss="mse", dtype="float64", seed=0)
    gradient = network.gradient(X, Y)
    start = network.parameters.copy()
    for i in (0, network.n_parameters - 1):
        costs = []
        for change in (1e-5, -1e-5):
            network.parameters[:] = start
            network.parameters[i] += change
            costs.append(network.loss(X, Y))
        assert gradient[i] == pytest.approx((costs[0] - costs[1]) / 2e-5, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_a_warm_start_forgets_the_moments(solver):
    """Each fit makes a new optimizer (issue 6091), and counts its epochs from 1."""
    theirs, ours = both("MLPClassifier", solver=solver, warm_start=True)
    for model in (theirs, ours):
        model.fit(X, CLASSES)
        first = model._optimizer
        model.fit(X, CLASSES)
        assert model._optimizer is not first
        assert model.n_iter_ == 5 and len(model.loss_curve_) == 10
        assert model.t_ == 10 * len(X)
    same(ours, theirs)
    if solver == "adam":
        assert ours._optimizer.t == theirs._optimizer.t == 5
    # partial_fit keeps the moments; so does a fastgd.Network that is given its optimizer.
    kept, _ = both("MLPClassifier", solver=solver)
    for _ in range(10):
        kept.partial_fit(X, CLASSES, classes=[0, 1, 2])
    assert np.abs(kept.coefs_[0] - theirs.coefs_[0]).max() > 1e-6


def test_partial_fit_keeps_its_first_optimizer_and_shuffles_alike():
    """Another learning rate is not heard, and an integer seed gives each call the same order."""
    models = both("MLPClassifier", solver="sgd", batch_size=7)
    changed = both("MLPClassifier", solver="sgd", batch_size=7)
    for model in models + changed:
        model.partial_fit(X, CLASSES, classes=[0, 1, 2])
    for model in changed:
        model.set_params(learning_rate_init=0.5)
    orders = []
    for model in models + changed:
        model.partial_fit(X, CLASSES)
        orders.append(model._random_state.get_state()[1].tolist())
    assert all(order == orders[0] for order in orders)
    same(models[1], models[0])
    same(changed[1], models[0])


def test_after_early_stopping_a_warm_start_trains_its_best_weights():
    """They are restored as the same arrays; without a better score, the last ones are kept."""
    how = {"early_stopping": True, "warm_start": True, "learning_rate_init": 0.05, "max_iter": 40}
    theirs, ours = both("MLPClassifier", **how)
    for model in (theirs, ours):
        model.fit(X, CLASSES)
        assert model.coefs_ is model._best_coefs
        best = model.best_validation_score_
        before = [W.copy() for W in model.coefs_]
        model.set_params(max_iter=2, learning_rate_init=1e-6).fit(X, CLASSES)
        assert model.best_validation_score_ == best  # of weights that are no longer there
        assert any((W != V).any() for W, V in zip(model.coefs_, before, strict=True))
    same(ours, theirs)


def test_stopping_waits_an_epoch_longer_than_it_says():
    """More than n_iter_no_change epochs without improvement: one more than the name says."""
    for model in both("MLPClassifier", tol=100.0, n_iter_no_change=3, max_iter=50):
        assert model.fit(X, CLASSES).n_iter_ == 1 + 3 + 1
    for model in both("MLPClassifier", tol=100.0, n_iter_no_change=3, early_stopping=True):
        assert model.set_params(max_iter=50).fit(X, CLASSES).n_iter_ == 1 + 3 + 1


def test_the_loss_of_an_epoch_is_of_each_batch_before_its_step():
    """And it has the penalty, alpha / 2 times the squared weights over the rows of a batch."""
    how = {"solver": "sgd", "batch_size": 50, "shuffle": False, "max_iter": 1, "alpha": 10.0}
    theirs, ours = both("MLPRegressor", **how, learning_rate_init=1e-30)
    for model in (theirs, ours):
        model.fit(X, NUMBERS)
        penalty = 0.5 * 10.0 * sum(float((W**2).sum()) for W in model.coefs_)
        assert model.loss_ == pytest.approx(loss_at(model, X, NUMBERS) + penalty / 50)
    theirs, ours = both("MLPRegressor", **how, learning_rate_init=0.01)
    same(ours.fit(X, NUMBERS), theirs.fit(X, NUMBERS))
    assert ours.loss_ > loss_at(ours, X, NUMBERS) * 1.01


def test_smaller_batches_decay_more():
    """The penalty's gradient is alpha W over the rows of the batch, not of the data."""
    decayed = []
    for batch_size in (len(X), 10):
        how = {"solver": "sgd", "momentum": 0.0, "shuffle": False, "max_iter": 1, "alpha": 1.0}
        theirs, ours = both("MLPRegressor", **how, batch_size=batch_size, activation="identity")
        nothing = np.zeros_like(X)
        same(ours.fit(nothing, NUMBERS), theirs.fit(nothing, NUMBERS))
        decayed.append(np.abs(ours.coefs_[0]).sum())
    assert decayed[1] < decayed[0]


def test_the_learning_rate_falls_with_the_examples_seen_and_once_an_epoch():
    """invscaling divides by the number of examples to power_t, and goes on in a warm start."""
    how = {"solver": "sgd", "learning_rate": "invscaling", "warm_start": True}
    theirs, ours = both("MLPClassifier", **how)
    for model in (theirs, ours):
        model.fit(X, CLASSES).fit(X, CLASSES)
        expected = 0.001 / (10 * len(X) + 1) ** 0.5
        assert model._optimizer.learning_rate == pytest.approx(expected, rel=1e-12)
    same(ours, theirs)


def test_multilabel_validation_is_not_stratified_and_scores_whole_rows():
    labels = np.stack([CLASSES == 1, X[:, 0] > 0], axis=1).astype(int)
    theirs, ours = both("MLPClassifier", early_stopping=True, learning_rate_init=0.05)
    same(ours.fit(X, labels), theirs.fit(X, labels))
    assert ours.validation_scores_ == theirs.validation_scores_
    assert ours.best_loss_ is theirs.best_loss_ is None  # early stopping knows none


def test_lbfgs_leaves_float64_and_no_curve():
    theirs, ours = both("MLPClassifier", solver="lbfgs")
    for model in (theirs, ours):
        model.fit(X.astype(np.float32), CLASSES)
        assert not hasattr(model, "loss_curve_") and model.t_ == 0
    assert ours.coefs_[0].dtype == theirs.coefs_[0].dtype


@pytest.mark.skipif(not TAKES_WEIGHTS, reason="scikit-learn 1.6 has no weights")
def test_weights_count_within_a_batch_alone():
    """Batches' losses are averaged by their rows, however little these weigh."""
    weights = np.where(np.arange(len(X)) < 50, 1e-3, 1.0)
    how = {"solver": "sgd", "batch_size": 50, "shuffle": False, "max_iter": 1, "alpha": 0.0}
    theirs, ours = both("MLPRegressor", **how, learning_rate_init=1e-30)
    for model in (theirs, ours):
        model.fit(X, NUMBERS, sample_weight=weights)
        assert model.loss_ == pytest.approx(loss_at(model, X, NUMBERS))  # as if without
    # A batch without any weight: scikit-learn's error.
    weights = np.where(np.arange(len(X)) < 50, 0.0, 1.0)
    for model in (theirs, ours):
        with pytest.raises(ZeroDivisionError, match="Weights sum to zero"):
            model.fit(X, NUMBERS, sample_weight=weights)


@pytest.mark.skipif(not TAKES_WEIGHTS, reason="scikit-learn 1.6 has one loss")
def test_poissons_loss_is_summed_over_outputs_where_the_squared_one_is_averaged():
    Y = np.exp(X[:, :2])
    losses = {}
    for loss in ("poisson", "squared_error"):
        for targets in (Y, Y[:, :1].repeat(2, axis=1)):
            how = {"solver": "sgd", "learning_rate_init": 1e-4, "alpha": 0.0, "loss": loss}
            theirs, ours = both("MLPRegressor", **how)
            same(ours.fit(X, targets), theirs.fit(X, targets))
        predicted = ours.predict(X)
        losses[loss] = ours.loss_, predicted
    loss, predicted = losses["squared_error"]
    assert loss == pytest.approx(0.5 * np.mean((predicted - targets) ** 2), rel=0.05)
    loss, predicted = losses["poisson"]
    costs = targets * np.log(targets / predicted) - targets + predicted
    assert loss == pytest.approx(costs.sum(axis=1).mean(), rel=0.05)
