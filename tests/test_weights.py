"""What examples and classes count."""

from __future__ import annotations

import numpy as np
import pytest
from fitting import CLASSES, W, X, Y, classifier, regressor, rng

import fastgd
from fastgd.backends import BACKENDS
from fastgd.engine.weights import check_weights


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


class TestSampleWeight:
    def test_whole_weights_are_repetitions(self, backend):
        counts = rng.integers(0, 3, 60)
        net, repeated = classifier(backend), np.repeat(np.arange(60), counts)
        args = X, CLASSES
        many = X[repeated], CLASSES[repeated]
        assert net.loss(*args, sample_weight=counts) == pytest.approx(net.loss(*many), rel=1e-12)
        assert net.score(*args, sample_weight=counts) == pytest.approx(net.score(*many))
        weighted = net.gradient(*args, sample_weight=counts)
        np.testing.assert_allclose(weighted, net.gradient(*many), rtol=1e-10, atol=1e-14)
        other = classifier(backend)
        step = {"epochs": 1, "batch_size": 10**6, "optimizer": fastgd.SGD(0.5)}
        net.fit(*args, sample_weight=counts, **step)
        other.fit(*many, **step)
        np.testing.assert_allclose(net.parameters, other.parameters, rtol=1e-10, atol=1e-13)

    def test_r2_of_weighted_rows(self, backend):
        counts, net = rng.integers(0, 3, 60), regressor(backend)
        repeated = np.repeat(np.arange(60), counts)
        weighted = net.score(X, Y, sample_weight=counts)
        assert weighted == pytest.approx(net.score(X[repeated], Y[repeated]), rel=1e-10)

    def test_partial_fit_is_the_step_of_fit(self, backend):
        nets = [classifier(backend, dropout=0.3) for _ in range(2)]
        adam = fastgd.Adam(0.1)
        settings = {"sample_weight": W, "class_weight": {0: 2.0}}
        nets[0].fit(X, CLASSES, epochs=1, batch_size=60, shuffle=False, optimizer=adam, **settings)
        nets[1].partial_fit(X, CLASSES, optimizer=adam, **settings)
        np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-12)

    @pytest.mark.parametrize(
        ("weights", "error", "message"),
        [
            (np.ones(59), ValueError, r"sample_weight must have shape \(60,\).*got shape \(59,\)"),
            (np.ones((60, 1)), ValueError, r"must have shape \(60,\)"),
            (-W, ValueError, r"at least 0; sample_weight\[1\] is -"),
            (np.where(W > 0.9, np.nan, W), ValueError, "finite and at least 0"),
            (np.where(W > 0.9, np.inf, W), ValueError, "finite and at least 0"),
            (np.zeros(60), ValueError, "must not be all zero"),
            (["a"] * 60, TypeError, "must hold real numbers"),
        ],
        ids=str,
    )
    def test_refused(self, weights, error, message):
        net = classifier()
        before = net.parameters.copy()
        for call in (net.fit, net.partial_fit, net.loss, net.score, net.gradient):
            with pytest.raises(error, match=message):
                call(X, CLASSES, sample_weight=weights)
        assert np.array_equal(net.parameters, before)


class TestClassWeight:
    def test_balanced_is_scikit_learns(self):
        sklearn = pytest.importorskip("sklearn.utils.class_weight")
        ours = check_weights(None, "balanced", CLASSES, 60, 3, "float64")
        theirs = sklearn.compute_sample_weight("balanced", CLASSES)
        np.testing.assert_allclose(ours, theirs)

    def test_is_the_sample_weight_of_each_class(self, backend):
        nets = [classifier(backend) for _ in range(3)]
        by_class = np.array([0.5, 2.0, 1.0])
        nets[0].fit(X, CLASSES, sample_weight=W * by_class[CLASSES], optimizer="sgd")
        nets[1].fit(X, CLASSES, sample_weight=W, class_weight={0: 0.5, 1: 2.0}, optimizer="sgd")
        nets[2].fit(
            X, np.eye(3)[CLASSES], sample_weight=W, class_weight={0: 0.5, 1: 2}, optimizer="sgd"
        )
        for net in nets[1:]:
            np.testing.assert_allclose(net.parameters, nets[0].parameters, rtol=1e-12)

    def test_counts_in_training_alone(self):
        net = classifier()
        history = net.fit(
            X,
            CLASSES,
            class_weight={0: 0.0},
            validation_data=(X, CLASSES),
            metrics=["accuracy"],
            optimizer="sgd",
        )
        assert history.validation_score[-1] == history.accuracy[-1] == net.score(X, CLASSES)

    @pytest.mark.parametrize(
        ("given", "error", "message"),
        [
            ("balance", ValueError, 'class_weight must be "balanced" or a dict'),
            ([1, 2, 3], TypeError, 'class_weight must be "balanced" or a dict'),
            ({3: 1.0}, ValueError, "class_weight names class 3; classes are 0 to 2"),
            ({"a": 1.0}, TypeError, "classes being integers; got the class 'a'"),
            ({0: -1.0}, ValueError, r"class_weight\[0\] must be a number at least 0; got -1.0"),
            ({0: 0, 1: 0, 2: 0}, ValueError, "must not be all zero"),
        ],
    )
    def test_refused(self, given, error, message):
        with pytest.raises(error, match=message):
            classifier().fit(X, CLASSES, class_weight=given, optimizer="sgd")

    def test_numbers_have_no_classes(self):
        with pytest.raises(ValueError, match="y must hold classes; y holds numbers"):
            regressor().fit(X, Y, class_weight="balanced", optimizer="sgd")


def test_weights_at_their_ends():
    classes = np.array([0, 0, 0, 2])  # no example of class 1
    balanced = check_weights(None, "balanced", classes, 4, 3, "float64")
    np.testing.assert_allclose(balanced, [2 / 3, 2 / 3, 2 / 3, 2])
    with pytest.raises(ValueError, match="sample_weight must be finite in float32"):
        check_weights([1e39, 1, 1, 1], None, None, 4, 3, "float32")
