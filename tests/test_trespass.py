"""What somebody changes while fastgd works on it: no kernel leaves its arrays, no wrong number."""

import _thread
import threading

import numpy as np
import pytest

import fastgd
from fastgd.backends import BACKENDS, team
from fastgd.backends.plan import Plan
from fastgd.engine.sparse import compress

scipy_sparse = pytest.importorskip("scipy.sparse")

FAR = 1 << 30
COMPILED = [name for name in BACKENDS if name != "numpy"]


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


class Do:
    """A callback that does something after the first epoch."""

    def __init__(self, action):
        self.action = action

    def on_epoch_end(self, network, epoch, logs):
        if not epoch:
            self.action()


def problem(sparse=False):
    rng = np.random.default_rng(0)
    X = rng.random((60, 80)) * (rng.random((60, 80)) < 0.2)
    y = rng.integers(0, 3, 60)
    return (scipy_sparse.csr_matrix(X) if sparse else X), y


def fitted(backend, X, y, *callbacks, **kwargs):
    net = fastgd.Network(
        [80, 6, 3], output="softmax", loss="cross_entropy", backend=backend, seed=1
    )
    net.fit(X, y, epochs=3, optimizer="sgd", callbacks=list(callbacks), **kwargs)
    return net.parameters


def overwrite(array, value):
    def act():
        array[:] = value

    return Do(act)


class TestChangedDuringAFit:
    def test_classes(self, backend):
        X, y = problem()
        expected = fitted(backend, X, y)
        for value in (FAR, -1, 10):
            changing = y.copy()
            got = fitted(backend, X, changing, overwrite(changing, value))
            np.testing.assert_array_equal(got, expected)

    @pytest.mark.parametrize("part", ["indices", "indptr"])
    def test_a_sparse_matrix(self, backend, part):
        X, y = problem(sparse=True)
        expected = fitted(backend, X, y)
        for value in (FAR, -FAR):
            changing = X.copy()
            got = fitted(backend, changing, y, overwrite(getattr(changing, part), value))
            np.testing.assert_array_equal(got, expected)

    def test_validation_data(self, backend):
        X, y = problem(sparse=True)
        V, v = X.copy(), y.copy()
        callbacks = [overwrite(V.indices, FAR), overwrite(V.indptr, FAR), overwrite(v, FAR)]
        expected = fitted(backend, X, y)
        got = fitted(backend, X, y, *callbacks, validation_data=(V, v))
        np.testing.assert_array_equal(got, expected)

    def test_zeros_left_out_while_they_are_counted(self):
        """More numbers than were counted are not written; fewer leave no stray column."""
        X = np.zeros((50, 64))
        X[:, ::8] = 1
        stop = threading.Event()

        def change():
            while not stop.is_set():
                X[:] = 1
                X[:, 1:] = 0

        thread = threading.Thread(target=change)
        thread.start()
        try:
            for _ in range(300):
                made = compress(X)
                assert made.columns.min(initial=0) >= 0
                assert made.columns.max(initial=0) < 64
        finally:
            stop.set()
            thread.join()


class TestTheMatrixItself:
    def test_a_stale_flag_of_order(self, backend):
        """A matrix says its columns ascend, once each; here they do neither."""
        y = np.array([0, 1, 2])
        right = scipy_sparse.csr_matrix(np.array([[0, 3.0, 1], [2, 0, 0], [0, 0, 5]]))
        wrong = scipy_sparse.csr_matrix(right)
        _ = wrong.has_canonical_format
        data, indices = np.array([1.0, 1, 2, 2, 5]), np.array([2, 1, 1, 0, 2], np.int32)
        wrong.data, wrong.indices = data, indices
        wrong.indptr = np.array([0, 3, 4, 5], np.int32)
        wrong.has_canonical_format = wrong.has_sorted_indices = True
        nets = [
            fastgd.Network([3, 4, 3], backend=backend, threads=threads, seed=1)
            for threads in (1, 2)
        ]
        expected = nets[0].gradient(right, y)
        for net in nets:
            np.testing.assert_array_equal(net.gradient(wrong, y), expected)
        np.testing.assert_array_equal(wrong.indices, indices)

    def test_room_behind_its_numbers(self, backend):
        X, y = problem(sparse=True)
        roomy = scipy_sparse.csr_matrix(X)
        roomy.indices = np.append(X.indices, np.full(9, FAR, X.indices.dtype))
        roomy.data = np.append(X.data, np.full(9, np.nan))
        np.testing.assert_array_equal(fitted(backend, roomy, y), fitted(backend, X, y))


class TestTheNetwork:
    def test_its_attributes_are_checked_when_set(self):
        net = fastgd.Network([3, 4, 2], seed=1)
        for threads in (0, -1, 1.5, "many", None, 10**6):
            with pytest.raises((ValueError, TypeError), match="threads must be"):
                net.threads = threads
        assert net.threads == "auto"
        net.threads = 2
        assert net.copy().threads == 2
        with pytest.raises(AttributeError):
            net.architecture = fastgd.Network([300, 4, 2]).architecture

    @pytest.mark.parametrize("make", ["new", "copied", "loaded", "pickled"])
    def test_its_parameters_keep_their_size(self, make, tmp_path):
        import pickle

        net = fastgd.Network([3, 4, 2], seed=1)
        if make == "loaded":
            net.save(tmp_path / "net.safetensors")
            net = fastgd.load(tmp_path / "net.safetensors")
        net = {"copied": net.copy, "pickled": lambda: pickle.loads(pickle.dumps(net))}.get(
            make, lambda: net
        )()
        with pytest.raises(ValueError, match="resize"):
            net.parameters.resize(3, refcheck=False)
        net.parameters += 1
        assert net.parameters.shape == (26,)


def test_imaginary_parts_are_not_dropped(backend):
    net = fastgd.Network([2, 3, 1], backend=backend, seed=1)
    for item in (1 + 2j, np.complex128(1 + 2j), np.complex64(1)):
        X = np.array([[1.0, item]], dtype=object)
        with pytest.raises(TypeError, match="X must hold numbers"):
            net.predict(X)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scaled_inputs_that_overflow_are_named(backend, dtype, sparse):
    largest = 1e30 if dtype == "float32" else 1e300
    net = fastgd.Network([2, 3, 1], input_scale=largest, dtype=dtype, backend=backend, seed=1)
    X = np.array([[1.0, 2.0], [1.0, largest]])
    X, y = (scipy_sparse.csr_matrix(X) if sparse else X), np.zeros(2)
    calls = [
        net.predict, lambda X: net.loss(X, y), lambda X: net.gradient(X, y),
        lambda X: net.partial_fit(X, y), lambda X: net.fit(X, y, optimizer="sgd", epochs=1),
    ]  # fmt: skip
    before = net.parameters.copy()
    for call in calls:
        with pytest.raises(ValueError, match=r"X\[1, 1\].*too large for float.. as the network"):
            call(X)
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("row", [[0.333, 0.333, 0.3335], [0.5, 0.5, 2e-5]])
def test_probabilities_sum_to_one_or_the_gradient_would_not_be_theirs(backend, row):
    net = fastgd.Network([2, 3], output="softmax", loss="cross_entropy", backend=backend, seed=1)
    with pytest.raises(ValueError, match=r"row 0 sums to .* \(divide each row by its sum\)"):
        net.gradient([[1.0, 2.0]], [row])
    exact = np.array([row]) / np.sum(row)
    net.gradient([[1.0, 2.0]], exact.astype(np.float32))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predictions_are_the_same_for_any_number_of_threads(backend, dtype):
    rng = np.random.default_rng(0)
    for sizes in ([9, 17, 5], [300, 40, 30, 2], [1000, 1100, 3]):
        X = rng.normal(size=(258, sizes[0])).astype(dtype)
        net = fastgd.Network(sizes, dtype=dtype, backend=backend, seed=1)
        for n in (1, 2, 3, 4, 5, 257, 258):
            expected = None
            for threads in (1, 2, 3):
                net.threads = threads
                outputs = net.predict(X[:n])
                expected = outputs if expected is None else expected
                np.testing.assert_array_equal(outputs, expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_costs_do_not_depend_on_how_steps_are_cut_into_calls(backend, weighted, monkeypatch):
    X, y = problem()
    weights = np.random.default_rng(1).random(60) if weighted else None

    def costs(most):
        monkeypatch.setattr(
            "fastgd.engine.session.Pace.saw", lambda pace, *_: setattr(pace, "steps", most)
        )
        net = fastgd.Network([80, 6, 3], output="softmax", loss="cross_entropy", backend=backend,
                             dtype="float64", seed=1)  # fmt: skip
        return net.fit(X, y, epochs=3, batch_size=4, optimizer="sgd", sample_weight=weights).cost

    expected = costs(1)
    for most in (2, 3, 7, 100):
        assert costs(most) == expected


class TestThreadsThatCannotBeHad:
    @pytest.fixture(autouse=True)
    def _alone(self, monkeypatch):
        monkeypatch.setattr(team, "_free", {})
        monkeypatch.setattr(team, "_too_large", [])
        monkeypatch.setattr(team, "PATIENCE", 0.05)

    def start_none(self, *args):
        raise RuntimeError("can't start new thread")

    def start_dead(self, *args):
        """As a thread that dies for want of memory before it runs."""

    def start_one(self, *args):
        if not team._free.get("started"):
            team._free["started"] = True
            _thread.start_new_thread(*args)

    @pytest.mark.parametrize("name", COMPILED)
    @pytest.mark.parametrize("start", ["start_none", "start_dead", "start_one"])
    def test_one_does_the_work(self, name, start, monkeypatch):
        X, y = problem()
        expected = fitted(name, X, y)
        monkeypatch.setattr(team, "start_new_thread", getattr(self, start))
        net = fastgd.Network([80, 6, 3], output="softmax", loss="cross_entropy", backend=name,
                             threads=4, seed=1)  # fmt: skip
        net.fit(X, y, epochs=3, optimizer="sgd")
        np.testing.assert_array_equal(net.parameters, expected)
        np.testing.assert_array_equal(net.predict(X), net.predict(X))

    def test_no_more_threads_wait_than_there_are_processors(self, monkeypatch):
        monkeypatch.setattr(team.os, "cpu_count", lambda: 3)
        teams = [team._team_of(3) for _ in range(4)]
        for each in teams:
            team._keep(each, 3)
        assert len(team._free[3]) == 1
        team._keep(team._team_of(9), 9)
        assert len(team._free[9]) == 1


@pytest.mark.parametrize("name", COMPILED)
def test_out_of_memory_leaves_a_network_that_works(name, monkeypatch):
    """A call that finds no memory raises MemoryError; the steps made before it stand."""
    X, y = problem()
    net = fastgd.Network([80, 6, 3], output="softmax", loss="cross_entropy", backend=name, seed=1)
    borrow, calls = Plan.borrow, []

    def scarce(plan):
        calls.append(plan)
        if len(calls) == 3:
            raise MemoryError
        return borrow(plan)

    monkeypatch.setattr(Plan, "borrow", scarce)
    before = net.parameters.copy()
    with pytest.raises(MemoryError):
        net.fit(X, y, epochs=3, batch_size=7, optimizer="adam")
    assert np.isfinite(net.parameters).all()
    assert not np.array_equal(net.parameters, before)
    assert net.state.position == 0
    assert net.state.order is None
    net.fit(X, y, epochs=1, optimizer="adam")
    many = np.tile(X, (100 // len(X) + 1, 1))  # no little call
    for raises in (lambda X: net.predict(many), lambda X: net.gradient(X, y)):
        calls[:] = [None, None]
        with pytest.raises(MemoryError):
            raises(X)
    assert np.isfinite(net.predict(X)).all()


@pytest.mark.parametrize("kind", ["csc", "coo"])
def test_indices_of_other_forms_are_looked_at_before_scipy_follows_them(kind):
    """Its way to CSR would write there."""
    net = fastgd.Network([12, 2], seed=1)
    X = scipy_sparse.coo_array(np.eye(6, 12)).asformat(kind)
    assert net.predict(X).shape == (6, 2)
    indices = X.indices if kind == "csc" else X.col
    for wrong in (10**6, -1):
        indices[3] = wrong
        with pytest.raises(ValueError, match="X must have whole indices"):
            net.predict(X)
