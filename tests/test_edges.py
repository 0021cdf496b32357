"""What no other test would miss: each stands against a small wrong change of stress/mutants.py."""

from types import SimpleNamespace

import numpy as np
import pytest

import fastgd
from fastgd.backends import BACKENDS, reference
from fastgd.errors import DivergenceError
from fastgd.explain.curvature import Curvature, curvature, hessian_vector
from fastgd.explain.diagnose import diagnose
from fastgd.explain.rates import RangeTest, _choose, _is_lost, _smooth
from fastgd.explain.symptoms import data as symptoms_of_data
from fastgd.explain.symptoms import training, units
from fastgd.explain.symptoms.case import Case, LayerHealth

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
    @pytest.mark.parametrize("dropout", [0.0, 0.4, [0.3, 0.4]])
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


def test_costs_told_within_an_epoch_are_of_the_weights_so_far(backend, monkeypatch):
    monkeypatch.setattr("fastgd.engine.session.Pace.saw", lambda *_: None)  # a step a call
    X, Y = data(40)
    weight = np.linspace(0.1, 5, 40)
    told = []

    class Listen:
        def on_progress(self, network, epoch, logs):
            told.append((logs["examples"], logs["cost"]))

    net = network(backend, dtype="float64")
    costs = ((net.predict(X) - Y) ** 2).mean(axis=1)
    net.fit(X, Y, epochs=1, batch_size=10, optimizer=fastgd.SGD(1e-30), sample_weight=weight,
            shuffle=False, callbacks=Listen())  # fmt: skip
    expected = [(n, np.average(costs[:n], weights=weight[:n])) for n in (10, 20, 30, 40)]
    np.testing.assert_allclose(told, expected[: len(told)], rtol=1e-12)
    assert len(told) >= 3


def test_whoever_listens_to_progress_ends_a_fit(backend):
    X, Y = data(40)

    class Enough:
        def on_progress(self, network, epoch, logs):
            return epoch == 1

    net = network(backend)
    history = net.fit(X, Y, epochs=4, optimizer=fastgd.SGD(0.01), callbacks=Enough())
    assert (history.epochs, history.stop_reason) == (1, "callback")


def test_a_schedule_goes_on_with_an_equal_optimizer_and_begins_anew_with_another():
    X, Y = data(8)

    def rate(epoch):
        return 0.1 / (1 + epoch)

    first, equal, other = fastgd.SGD(rate), fastgd.SGD(rate), fastgd.SGD(rate, l2=0.1)
    for second, expected in ((equal, [0.1 / 3, 0.1 / 4]), (other, [0.1, 0.1 / 2])):
        net = network("numpy")
        assert net.fit(X, Y, epochs=2, optimizer=first).learning_rate == [0.1, 0.05]
        assert net.fit(X, Y, epochs=2, optimizer=second).learning_rate == expected


class TestOneStep:
    @pytest.mark.parametrize("optimizer", [fastgd.SGD(1e3), fastgd.SGD(1e3, momentum=0.9)])
    def test_parameters_and_slots_go_back_together(self, backend, optimizer):
        """A number is finite in the cost and not in a step."""
        X, Y = data(8)
        X *= np.float32(1e-3)  # else the first steps make weights so large that the cost is not
        net, same = (network(backend, (5, 2), loss="absolute_error") for _ in range(2))
        for each in (net, same):
            each.partial_fit(X, Y, optimizer=optimizer)
            each.partial_fit(X, Y)
        huge = X.copy()
        huge[3, 1] = 1e37
        assert np.isfinite(net.loss(huge, Y))
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
                    net.partial_fit(changed, Y.astype("float32"))
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

    @pytest.mark.parametrize("which", ["sample_weight", "class_weight"])
    def test_weights_count_in_every_step(self, backend, which):
        """Also in those that the quick way could make."""
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(30, 5)).astype("float32"), rng.integers(0, 3, 30)
        kept = {} if which == "sample_weight" else {which: {0: 1.0, 1: 5.0, 2: 0.1}}
        weight = rng.random(30) * 9
        fitted, stepped = (
            network(backend, (5, 3), output="softmax", loss="cross_entropy") for _ in range(2)
        )
        given = {**kept, **({which: weight} if which == "sample_weight" else {})}
        fitted.fit(X, y, epochs=2, batch_size=10, shuffle=False, optimizer=fastgd.SGD(0.5), **given)
        for start in (0, 10, 20, 0, 10, 20):
            rows = slice(start, start + 10)
            here = kept or {which: weight[rows]}
            stepped.partial_fit(X[rows], y[rows], optimizer=fastgd.SGD(0.5), **here)
        np.testing.assert_allclose(stepped.parameters, fitted.parameters, rtol=1e-4, atol=1e-6)

    def test_dropout_of_steps_is_drawn_by_the_seed(self, backend):
        X, Y = data(64)
        results = []
        for seed, name in ((1, backend), (1, "numpy"), (2, backend)):
            net = network(name, (5, 40, 2), dropout=0.5, seed=7)
            net.state.drawn_seed = seed
            for _ in range(3):
                net.partial_fit(X, Y, optimizer=fastgd.SGD(0.1))
            results.append(net.parameters)
        np.testing.assert_allclose(results[0], results[1], rtol=1e-4, atol=1e-6)
        assert abs(results[0] - results[2]).max() > 1e-3


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


class TestDiagnosis:
    """The thresholds of the symptoms, just below and just above."""

    def named(self, symptom, **case):
        return [finding.severity for finding in symptom(SimpleNamespace(**case))]

    def layer(self, units=100, **counts):
        made = {"saturated": 0.0, "stuck": 0, "dead": 0, "copies": 0, **counts}
        return LayerHealth(layer=1, activation="tanh", units=units, **made)

    @pytest.mark.parametrize(
        ("counts", "expected"),
        [({"saturated": 0.49, "stuck": 33}, []), ({"saturated": 0.51}, ["warning"]),
         ({"stuck": 34}, ["warning"]), ({"saturated": 0.76}, ["problem"])],
    )  # fmt: skip
    def test_saturated(self, counts, expected):
        case = {
            "health": [self.layer(**counts), self.layer()],
            "layers": SimpleNamespace(z=[np.ones(3)]),
        }
        assert self.named(units.saturated, **case) == expected

    @pytest.mark.parametrize(
        ("dead", "expected"),
        [(0, []), (33, ["note"]), (34, ["warning"]), (49, ["warning"]), (50, ["problem"])],
    )
    def test_dead(self, dead, expected):
        health = [self.layer(dead=dead), self.layer()]
        assert self.named(units.dead, health=health, inputs=np.ones(5)) == expected

    def test_stuck_is_19_examples_in_20(self):
        net = fastgd.Network([1, 3, 1], activation="tanh", seed=1, dtype="float64")
        net.weights[0][:], net.biases[0][:] = 200, [-140, -150, -160]
        X = np.linspace(0, 1, 2001)[:, None]
        for rows, least, most, stuck in ((X, 0.95, 0.99, 3), (X[1200:], 0.9, 0.95, 0)):
            ends = abs(np.tanh(200 * rows + net.biases[0])) >= 0.99
            assert (ends.mean(axis=0) > least).all() and (ends.mean(axis=0) < most).all()
            assert diagnose(net, rows, rows).layers[0].stuck == stuck

    @pytest.mark.parametrize(
        ("cost", "worthless"), [(0.89, False), (0.91, True), (2.0, True), (np.nan, True)]
    )
    def test_nothing_learned(self, cost, worthless):
        case = SimpleNamespace(cost=cost, baseline=1.0)
        assert Case.has_not_learned.fget(case) is worthless

    @pytest.mark.parametrize(
        ("size", "expected"),
        [(1.0, []), (4.9, []), (5.1, ["warning"]), (31.0, ["problem"]), (0.021, []),
         (0.019, ["warning"])],
    )  # fmt: skip
    def test_size_of_inputs(self, size, expected):
        X = np.random.default_rng(0).normal(size=(200, 3))
        X *= size / np.sqrt((X * X).mean())
        assert self.named(symptoms_of_data.inputs_not_scaled, inputs=X) == expected

    @pytest.mark.parametrize(("ratio", "expected"), [(29, []), (31, ["warning"])])
    def test_spread_of_columns(self, ratio, expected):
        X = np.random.default_rng(0).normal(size=(200, 2))
        X = (X - X.mean(axis=0)) / X.std(axis=0) * [0.1, 0.1 * ratio]
        assert self.named(symptoms_of_data.inputs_not_scaled, inputs=X) == expected

    @pytest.mark.parametrize(("away", "expected"), [(9.5, []), (10.5, ["warning"])])
    def test_columns_far_from_0(self, away, expected):
        X = np.random.default_rng(0).normal(size=(200, 1))
        X = 0.2 * ((X - X.mean()) / X.std() + away)
        assert self.named(symptoms_of_data.inputs_not_scaled, inputs=X) == expected

    @pytest.mark.parametrize(("z", "expected"), [(9.0, []), (14.0, ["problem"])])
    def test_outliers(self, z, expected):
        """Of 21 residuals 20 are -1, 0 or 1: the median distance from the median is 1."""
        residuals = np.array([-1.0] * 8 + [0] * 4 + [1] * 8 + [z * 1.4826])[:, None]
        case = {
            "network": fastgd.Network([1, 1], output="identity", loss="mse"), "n": 21,
            "is_classification": False, "wanted": residuals, "outputs": 0 * residuals,
        }  # fmt: skip
        assert self.named(symptoms_of_data.outliers, **case) == expected

    @pytest.mark.parametrize(
        ("cost", "word"),
        [
            ([1, 0.5, 0.4, 0.4, 0.4], None),
            (
                [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.44, 0.46],
                None,
            ),  # a rise of 5 % of the largest, not 20 % of itself
            (
                [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.2, 0.23, 0.2405],
                None,
            ),  # 20 % of itself, not 5 % of the largest
            ([1, 0.5, 0.2, 0.25, 0.26], "rises"),
            ([1, 0.9, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4], None),  # one epoch in eight
            ([1, 0.9, 1, 0.9, 1, 0.7, 0.6, 0.5, 0.4], "oscillates"),  # one in four
            ([1, 0.9, 0.93, 0.9, 0.93, 0.7, 0.6, 0.5, 0.4], None),  # by 3 %
        ],
    )
    def test_unsteady(self, cost, word):
        said, _ = training._unsteady(np.array(cost, float), SimpleNamespace())
        assert (word in said[0]) if word else said == []

    @pytest.mark.parametrize(
        ("validation", "expected"),
        [(0.91, []), (0.89, ["warning"]), (0.79, ["problem"])],
    )
    def test_gap_of_scores(self, validation, expected):
        case = {"history": None, "validation": (1.0, validation), "score": 1.0, "cost": 0.1,
                "score_name": "accuracy"}  # fmt: skip
        assert self.named(training.overfits, **case) == expected

    @pytest.mark.parametrize(
        ("rise", "epochs", "expected"),
        [(1.04, 10, []), (1.4, 10, ["note"]), (1.6, 10, ["warning"]), (1.6, 2, ["note"])],
    )
    def test_rise_of_the_validation_cost(self, rise, epochs, expected):
        n = 5 + epochs
        history = {
            "cost": np.linspace(1, 0.1, n).tolist(),
            "validation_cost": [1.0] * 4 + [0.5] + [0.5 * rise] * epochs,
        }
        case = {"history": history, "validation": None}
        assert self.named(training.overfits, **case) == expected
