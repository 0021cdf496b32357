"""What no other test would miss of the gate, scaling and scores: as `test_edges`."""

import struct
from types import SimpleNamespace

import numpy as np
import pytest

import fastgd
import fastgd.data
from fastgd.backends import BACKENDS
from fastgd.engine.metrics import classes_of
from fastgd.errors import DataError, DivergenceError

scipy_sparse = pytest.importorskip("scipy.sparse")


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def network(backend="numpy", sizes=(3, 2), **settings):
    made = {"output": "identity", "loss": "mse", "seed": 1, **settings}
    return fastgd.Network(sizes, backend=backend, **made)


def data(n, n_in=3, n_out=2):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, n_in)).astype("float32"), rng.normal(size=(n, n_out))


class TestInputs:
    @pytest.mark.parametrize("sparse", [False, True])
    @pytest.mark.parametrize("scale", [-1e30, 1e30])
    def test_too_large_as_the_network_scales_it_with_any_sign(self, backend, scale, sparse):
        X, Y = data(4)
        X[2, 1] = 1e10
        net = network(backend, input_scale=scale)
        given = scipy_sparse.csr_matrix(X) if sparse else X
        with pytest.raises(ValueError, match=r"X\[2, 1\].*as the network scales it"):
            net.loss(given, Y)

    def test_advice_on_large_negative_inputs(self):
        X, Y = data(20)
        with pytest.raises(DivergenceError) as raised:
            network().fit(-1000 * abs(X), Y, epochs=50, optimizer=fastgd.SGD(1.0))
        assert f"the largest is {1000 * abs(X).max():g}" in raised.value.advice

    def test_a_column_twice_in_a_row(self, backend):
        """It counts as often as it is there."""
        values, columns = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 1, 1, 2])
        X = scipy_sparse.csr_matrix((values, columns, np.array([0, 3, 4])), shape=(2, 3))
        X.has_canonical_format = True  # which is not true
        net, dense = network(backend), np.array([[1.0, 5.0, 0.0], [0.0, 0.0, 4.0]])
        np.testing.assert_allclose(net.predict(X), net.predict(dense), rtol=1e-6)


class TestFiles:
    @pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan])
    def test_numbers_of_an_archive_that_are_not_finite(self, tmp_path, value):
        X = np.zeros((3, 2))
        X[1, 0] = value
        np.savez(tmp_path / "a.npz", X=X, y=np.zeros(3))
        with pytest.raises(DataError, match=r"X\[1, 0\] is .*; every number must be finite"):
            fastgd.data.load(tmp_path / "a.npz")

    @pytest.mark.parametrize("n_labels", [1, 3])
    def test_as_many_labels_as_images(self, tmp_path, n_labels):
        (tmp_path / "train-images-idx3-ubyte").write_bytes(struct.pack(">4I8x", 2051, 2, 2, 2))
        labels = struct.pack(">2I", 2049, n_labels) + bytes(n_labels)
        (tmp_path / "train-labels-idx1-ubyte").write_bytes(labels)
        with pytest.raises(DataError, match=f"{n_labels} labels for the 2 images"):
            fastgd.data.load(tmp_path)


def test_a_batch_in_which_nothing_counts_changes_nothing(backend):
    X, Y = data(12)
    weight = np.r_[np.zeros(4), np.ones(8)]
    first, rest = network(backend), network(backend)
    settings = {"epochs": 1, "batch_size": 4, "shuffle": False, "optimizer": fastgd.SGD(0.1)}
    history = first.fit(X, Y, sample_weight=weight, **settings)
    rest.fit(X[4:], Y[4:], **settings)
    assert np.isfinite(history.cost).all()
    np.testing.assert_allclose(first.parameters, rest.parameters, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_little_steps_on_scaled_targets(backend, dtype):
    """The second takes the quick way, where there is one."""
    X, Y = data(8)
    nets = [
        network(name, output_shift=3.0, output_scale=[2.5, 0.1], dtype=dtype)
        for name in (backend, "numpy")
    ]
    for _ in range(3):
        costs = [net.partial_fit(X, Y.astype(dtype), optimizer=fastgd.SGD(0.1)) for net in nets]
    assert costs[0] == pytest.approx(costs[1], rel=1e-5)
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-4, atol=1e-5)


class TestHeldOut:
    def test_examples_keep_their_weights(self, backend):
        X, Y = data(40)
        weight = np.random.default_rng(1).random(40) * 9
        held = network(backend, dtype="float64")
        history = held.fit(X, Y, epochs=1, validation_split=0.25, sample_weight=weight,
                           optimizer=fastgd.SGD(1e-30))  # fmt: skip
        costs = ((held.predict(X) - Y) ** 2).mean(axis=1)
        both = history.cost[0], history.validation_cost[0]
        share = (np.average(costs, weights=weight) - both[0]) / (both[1] - both[0])
        assert 0 < share < 1
        unweighted = network(backend, dtype="float64").fit(
            X, Y, epochs=1, validation_split=0.25, optimizer=fastgd.SGD(1e-30)
        )
        assert history.cost != pytest.approx(unweighted.cost, rel=1e-3)
        assert history.validation_cost != pytest.approx(unweighted.validation_cost, rel=1e-3)

    @pytest.mark.parametrize("seed", range(5))
    def test_never_all(self, seed):
        X, Y = data(2)
        net = network(seed=seed)
        try:
            history = net.fit(X, Y, epochs=1, validation_split=0.9, optimizer="sgd")
        except ValueError as error:
            assert "leaves none on one side" in str(error)
        else:
            assert np.isfinite(history.cost + history.validation_cost).all()


class TestStandardized:
    def scaled(self, X):
        net = network(sizes=(X.shape[1], 2))
        net.fit(X, data(len(X))[1], epochs=1, optimizer=fastgd.SGD(0.01), standardize=True)
        return (X - net.input_shift) * net.input_scale

    @pytest.mark.parametrize("sign", [-1, 1])
    def test_rare_large_values_of_either_sign(self, sign):
        X = np.zeros((1000, 2))
        X[0], X[::2, 1] = sign, 1.0
        assert abs(self.scaled(X)[:, 0]).max() == pytest.approx(10)

    def test_columns_that_never_change_but_for_rounding(self):
        X = np.tile([0.1, 1 / 3, 1e10 / 3], (1001, 1))
        X[:, 0] += np.arange(1001)
        assert abs(self.scaled(X)[:, 1:]).max() < 1e-5

    def test_columns_too_narrow_to_be_scaled(self):
        X = np.array([[0.0, 1.0], [1e-310, 2.0], [0.0, 3.0]])
        scaled = self.scaled(X)
        assert np.isfinite(scaled).all() and abs(scaled[:, 0]).max() < 1e-300


def test_the_pinball_loss_is_flat_where_it_is_right(backend):
    net = network(backend, loss=fastgd.Quantile(0.3), init="zeros")
    assert not net.gradient(data(6)[0], np.zeros((6, 2))).any()


def test_of_outputs_that_may_all_be_true_each_chooses_among_two():
    smooth = fastgd.CrossEntropy(label_smoothing=0.2).for_output("sigmoid").smooth
    np.testing.assert_allclose(smooth(np.array([[0.0, 1.0, 0.0]])), [[0.1, 0.9, 0.1]])


def test_an_output_at_the_threshold_is_the_second_class():
    assert classes_of(np.array([[0.4999], [0.5], [0.5001]])).tolist() == [0, 1, 1]


def test_of_epochs_that_are_as_good_the_first_is_the_best():
    best = fastgd.BestParameters()
    best.check({"cost": False})
    for epoch, cost in enumerate([3.0, 2.0, 2.0, 2.5]):
        best.on_epoch_end(SimpleNamespace(parameters=np.full(1, epoch)), epoch, {"cost": cost})
    assert best.best_epoch == 1 and best.best_parameters == 1
