"""What no other test would miss: each stands against a small wrong change of stress/mutants.py."""

import threading

import numpy as np
import pytest

import fastgd
from fastgd.backends import BACKENDS, reference
from fastgd.errors import DivergenceError
from fastgd.explain.curvature import Curvature, curvature, hessian_vector
from fastgd.explain.rates import RangeTest, _choose, _is_lost, _smooth

scipy_sparse = pytest.importorskip("scipy.sparse")


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def network(backend, sizes=(5, 4, 2), **settings):
    made = {"output": "identity", "loss": "mse", "seed": 1, **settings}
    return fastgd.Network(sizes, backend=backend, **made)


def data(n, n_in=5, n_out=2, dtype="float32"):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, n_in)).astype(dtype), rng.normal(size=(n, n_out)).astype(dtype)


class TestBatchesTooLargeForOneCall:
    """Their gradient is made in pieces."""

    @pytest.fixture
    def pieces(self, monkeypatch):
        def cut(rows):
            monkeypatch.setattr("fastgd.engine.runner.Runner.rows_per_call", rows)

        return cut

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("dropout", [0.0, 0.4])
    @pytest.mark.parametrize("loss", ["mse", "sse"])
    def test_steps_are_those_of_one_piece(self, backend, weighted, dropout, loss, pieces):
        X, Y = data(90)
        weight = np.random.default_rng(1).random(90) if weighted else None
        results = []
        for rows in (1000, 32):
            pieces(rows)
            net = network(backend, loss=loss, dropout=dropout, dtype="float64")
            history = net.fit(X, Y, epochs=3, batch_size=70, optimizer=fastgd.SGD(0.01),
                              sample_weight=weight)  # fmt: skip
            results.append((net.parameters, history.cost))
        for got, expected in zip(*results, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-9)

    def test_a_cost_that_is_not_finite_makes_no_step(self, backend, pieces):
        """Also where the gradient, half the square's root, is finite."""
        X, Y = data(90)
        pieces(32)
        net = network(backend, (5, 2))
        net.weights[0][:] = 1e25
        before = net.parameters.copy()
        assert np.isfinite(net.gradient(X, Y)).all()
        with pytest.raises(DivergenceError):
            net.fit(X, Y, epochs=1, batch_size=90, optimizer=fastgd.SGD(1e-3))
        np.testing.assert_array_equal(net.parameters, before)
        assert net.state.step == 0


class TestOneStep:
    @pytest.mark.parametrize("optimizer", [fastgd.SGD(1e3), fastgd.SGD(1e3, momentum=0.9)])
    def test_parameters_and_slots_go_back_together(self, backend, optimizer):
        """A number is finite in the cost and not in a step."""
        X, Y = data(8)
        net, same = (network(backend, (5, 2), loss="absolute_error") for _ in range(2))
        for each in (net, same):
            each.partial_fit(X, Y, optimizer=optimizer)
            each.partial_fit(X, Y)
        huge = X.copy()
        huge[3, 1] = 3e37
        with pytest.raises(DivergenceError):
            net.partial_fit(huge, Y)
        np.testing.assert_array_equal(net.parameters, same.parameters)
        np.testing.assert_array_equal(net.state.slots, same.state.slots)
        assert net.state.step == same.state.step
        for each in (net, same):
            each.partial_fit(X, Y)
        np.testing.assert_array_equal(net.parameters, same.parameters)

    def test_parameters_that_are_not_finite_are_refused(self, backend):
        X, Y = data(8)
        net = network(backend)
        net.parameters[3] = np.nan
        with pytest.raises(ValueError, match=r"parameters\[3\] is nan"):
            net.partial_fit(X, Y)

    def test_numbers_too_large_for_float32(self, backend):
        X, Y = data(4, dtype="float64")
        net = network(backend)
        net.partial_fit(X, Y, optimizer=fastgd.SGD(0.1))
        before = net.parameters.copy()
        for wrong in ((1e39, X, 0), (1e39, Y, 1)):
            value, array, which = wrong
            changed = array.copy()
            changed[2, 1] = value
            with pytest.raises(ValueError, match=r"\[2, 1\].* too large for float32"):
                net.partial_fit(*((changed, Y) if which == 0 else (X, changed)))
            if which == 0:
                with pytest.raises(ValueError, match=r"\[2, 1\].* too large for float32"):
                    net.predict(changed)
        np.testing.assert_array_equal(net.parameters, before)

    @pytest.mark.parametrize(
        ("loss", "output"),
        [("mse", "identity"), ("absolute_error", "identity"), ("huber", "tanh"),
         ("poisson", "exp"), ("hinge", "identity"), ("binary_cross_entropy", "sigmoid")],
    )  # fmt: skip
    @pytest.mark.parametrize("n_out", [1, 3])
    def test_targets_of_another_size(self, backend, loss, output, n_out):
        net = network(backend, (2, n_out), loss=loss, output=output)
        X = np.ones((4, 2), "float32")
        right = np.zeros((4, n_out), "float32")
        net.partial_fit(X, right, optimizer=fastgd.SGD(0.1))
        before = net.parameters.copy()
        shapes = [(4, n_out + 1), (5, n_out), (3, n_out), (8, n_out), (4, n_out, 2), (2, 2 * n_out)]
        shapes += [(4 * n_out,), (1,), (5,)] if n_out > 1 else [(5,), (3,), (1,)]
        for shape in shapes:
            with pytest.raises((ValueError, TypeError), match=r"y must|one row for each"):
                net.partial_fit(X, np.zeros(shape, "float32"))
        for n in (3, 5):
            with pytest.raises((ValueError, TypeError), match=r"y must|one row for each"):
                net.partial_fit(X, np.zeros(n, "int64"))
        for wrong in (np.nan, np.inf):
            with pytest.raises(ValueError, match="y must"):
                net.partial_fit(X, np.full((4, n_out), wrong, "float32"))
        np.testing.assert_array_equal(net.parameters, before)

    @pytest.mark.parametrize("classes", [[0, 1, 3, 0], [-1, 0, 0, 0], [0, 0, 0, 1 << 40]])
    def test_classes_there_are_not(self, backend, classes):
        net = network(backend, (2, 3), output="softmax", loss="cross_entropy")
        X = np.ones((4, 2), "float32")
        net.partial_fit(X, np.array([0, 1, 2, 0]), optimizer=fastgd.SGD(0.1))
        before = net.parameters.copy()
        with pytest.raises(ValueError, match="y must hold classes"):
            net.partial_fit(X, np.array(classes))
        np.testing.assert_array_equal(net.parameters, before)

    @pytest.mark.parametrize("step", [False, True])
    def test_two_threads_at_once(self, step):
        """A call that comes while another is at work has memory of its own."""
        backend = fastgd.Network([1, 1]).backend
        net = network(backend, (400, 300, 2), threads=1)
        X, Y = data(64, 400)
        expected = net.predict(X[:4])
        failed, stop = [], threading.Event()

        def predict():
            while not stop.is_set():
                if not np.array_equal(net.predict(X[:4]), expected):
                    failed.append(1)
                    return

        def train():
            while not stop.is_set():
                net.partial_fit(X, Y, optimizer=fastgd.SGD(1e-6))
                if not np.isfinite(net.parameters).all():
                    failed.append(1)
                    return

        # Of two that step, one takes the quick way, and the other none that the first uses.
        n = 2 if step else 4
        threads = [threading.Thread(target=train if step else predict) for _ in range(n)]
        for thread in threads:
            thread.start()
        threads[0].join(0.4)
        stop.set()
        for thread in threads:
            thread.join()
        assert not failed

    def test_dropout_of_steps_is_drawn_by_the_seed(self, backend):
        X, Y = data(64)
        results = []
        for seed in (1, 1, 2):
            net = network(backend, (5, 40, 2), dropout=0.5, seed=7)
            net.state.drawn_seed = seed
            for _ in range(3):
                net.partial_fit(X, Y, optimizer=fastgd.SGD(0.1))
            results.append(net.parameters)
        np.testing.assert_array_equal(results[0], results[1])
        assert (results[0] != results[2]).any()


class TestSparseStructure:
    def matrix(self):
        return scipy_sparse.csr_matrix(np.array([[0, 3.0, 1], [2, 0, 0], [0, 0, 5]]))

    def refused(self, X):
        net = network("numpy", (3, 2))
        for name in BACKENDS:
            net.backend = name
            with pytest.raises(ValueError, match="is no valid CSR matrix"):
                net.predict(X)

    def test_first_pointer(self):
        X = self.matrix()
        X.indptr = np.array([1, 2, 3, 4], X.indptr.dtype)
        self.refused(X)

    @pytest.mark.parametrize("pointers", [[0, 2, 3], [0, 2, 3, 4, 4]])
    def test_how_many_pointers(self, pointers):
        X = self.matrix()
        X.indptr = np.array(pointers, X.indptr.dtype)
        self.refused(X)

    @pytest.mark.parametrize("part", ["data", "indices"])
    def test_too_few_numbers_or_columns(self, part):
        X = self.matrix()
        setattr(X, part, getattr(X, part)[:-1].copy())
        self.refused(X)

    def test_pointers_that_go_back(self):
        X = self.matrix()
        X.indptr = np.array([0, 3, 2, 4], X.indptr.dtype)
        self.refused(X)

    @pytest.mark.parametrize("column", [-1, 3, 1 << 20])
    def test_columns(self, column):
        X = self.matrix()
        X.indices[2] = column
        self.refused(X)

    @pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
    def test_numbers(self, value):
        X = self.matrix()
        X.data[3] = value
        for name in BACKENDS:
            with pytest.raises(ValueError, match=r"X\[2, 2\]"):
                network(name, (3, 2)).predict(X)


def test_every_block_of_predictions_is_looked_at(backend):
    """NaN in any block of rows, not the last alone."""
    net, X = network(backend), data(3000)[0]
    for row in (0, 500, 1023, 1024, 2047, 2048, 2999):
        wrong = X.copy()
        wrong[row, 2] = np.nan
        with pytest.raises(ValueError, match=rf"X\[{row}, 2\]"):
            net.predict(wrong)
        outputs = np.empty((3000, 2), np.float32)
        module = net.runner.backend()
        assert not module.forward(net.architecture, net.parameters, wrong, outputs, 1)
    assert reference.forward(net.architecture, net.parameters, X, outputs)


def test_every_piece_of_predictions_is_looked_at(backend, monkeypatch):
    monkeypatch.setattr("fastgd.engine.runner.Runner.rows_per_call", 100)
    net, X = network(backend), data(350)[0]
    for row in (0, 150, 349):
        wrong = X.copy()
        wrong[row, 2] = np.nan
        with pytest.raises(ValueError, match=rf"X\[{row}, 2\]"):
            net.predict(wrong)


def test_costs_of_many_pieces(backend, monkeypatch):
    """What rounding leaves out is kept from call to call."""
    monkeypatch.setattr("fastgd.engine.runner.Runner.rows_per_call", 256)
    net = fastgd.Network([1, 1], output="identity", dtype="float64", backend=backend)
    net.parameters = [0.0, np.sqrt(0.2)]
    X = np.zeros((256 * 1000, 1))
    assert net.loss(X, X[:, 0]) == pytest.approx(net.loss(X[:1], X[:1, 0]), rel=3e-16, abs=0)


class TestCurvature:
    def test_a_batch_of_more_examples_than_there_are(self):
        found = Curvature(4.0, np.ones(1), 0.0, 1.0, examples=10, sums=True)
        assert found.stable_rate(5) == 1.0
        assert found.stable_rate(10) == found.stable_rate(20) == found.stable_rate() == 0.5

    @pytest.mark.parametrize("value", [0.0, -1e-9, -4.0])
    def test_nothing_curves_upwards(self, value):
        found = Curvature(value, np.ones(1), 0.0, 1.0, examples=10, sums=False)
        assert found.stable_rate() == np.inf
        assert "no direction curves upwards" in str(found)

    @pytest.mark.parametrize("sizes", [(3, 2, 1), (5, 12, 2)])
    def test_the_largest_number_of_the_direction_is_positive(self, sizes):
        X, Y = data(40, sizes[0], sizes[-1])
        for seed in range(6):
            net = network("numpy", sizes, seed=seed, dtype="float64")
            found = curvature(net, X, Y, seed=seed)
            largest = np.argmax(np.abs(found.direction))
            assert found.direction[largest] > 0
            slope = net.gradient(X, Y) @ found.direction
            assert found.slope == pytest.approx(slope, rel=1e-6)

    def test_inputs_are_those_the_network_reads(self):
        """In float32, where it is one: not those of float64 before."""
        X, Y = data(20, dtype="float64")
        X += 1e4 * np.pi
        net = network("numpy", activation="tanh")
        net.weights[0][:] *= 1e-4
        v = np.random.default_rng(1).normal(size=net.n_parameters)
        read = X.astype("float32").astype("float64")
        got = hessian_vector(net, X, Y, v)
        np.testing.assert_array_equal(got, hessian_vector(net, read, Y, v))
        wide = network("numpy", activation="tanh", dtype="float64")
        wide.parameters = net.parameters
        assert (got != hessian_vector(wide, X, Y, v)).any()


class TestRangeTest:
    """The thresholds, as the words of `RangeTest` have them."""

    def found(self, *smoothed, start=1.0):
        rates = np.geomspace(1e-3, 1, len(smoothed))
        return RangeTest(rates, np.array(smoothed), np.array(smoothed), start, 8)

    def test_the_cost_falls_by_5_percent(self):
        assert self.found(1.0, 0.94, 1.0).fell
        assert not self.found(1.0, 0.96, 1.0).fell

    def test_it_blows_up_a_quarter_above_the_start(self):
        found = self.found(1.0, 0.5, 1.2, 1.3, 2.0)
        assert found.blow_up == found.rates[3]
        assert self.found(1.0, 0.5, 1.2).blow_up is None

    def test_it_blows_up_above_the_best_rate(self):
        found = self.found(1.4, 0.5, 1.0, 3.0)
        assert found.blow_up == found.rates[3]
        assert self.found(1.4, 1.3, 0.5).blow_up is None

    def test_it_ends_at_4_times_the_start(self):
        assert _is_lost([1.0, 4.1, 4.1, 4.1], 1.0)
        assert not _is_lost([1.0, 4.1, 3.9, 4.1], 1.0)
        assert not _is_lost([4.1, 4.1], 1.0)
        assert _is_lost([np.nan] * 3, 1.0)

    def test_costs_are_smoothed_over_a_seventh_of_a_decade(self):
        rates = np.geomspace(1e-2, 1, 201)  # a hundredth of a decade apart
        costs = np.zeros(201)
        costs[100] = 1
        smoothed = _smooth(rates, costs, 1.0)
        share = 15 * np.sqrt(2 * np.pi)
        assert smoothed[100] == pytest.approx(1 / share, rel=1e-3)
        assert smoothed[115] == pytest.approx(np.exp(-0.5) / share, rel=1e-3)
        capped = _smooth(rates, np.where(costs > 0, np.inf, 0), 1.0)
        np.testing.assert_allclose(capped, 4 * smoothed)

    def test_what_is_chosen(self):
        flat = self.found(1.0, 1.0, 1.0, 2.0)
        rate, reason = _choose(np.inf, flat)
        assert rate == pytest.approx(0.1) and "a tenth of the rate that blows up" in reason
        rate, reason = _choose(0.1, flat)
        assert rate == 0.05 and "half of the largest stable rate" in reason
        fell = self.found(1.0, 0.5, 0.7, 2.0)
        assert _choose(1.0, fell)[0] == fell.rates[1]
