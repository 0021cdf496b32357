"""What happens to numbers at the edges: many, huge, tiny, and not finite."""

import ctypes
import dataclasses
import os
import platform

import numpy as np
import pytest
from stress_form import rounds

import fastgd
from fastgd.backends import BACKENDS
from fastgd.errors import DivergenceError
from fastgd.rules.optimizers import find_optimizer

#: The long form: as many costs as are promised.


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


class TestManyEqualCosts:
    """They average to themselves: sums keep what rounding leaves out of them."""

    N = rounds(300_000, 20_000_000)

    def network(self, backend, **settings):
        net = fastgd.Network([1, 1], output="identity", dtype="float64", backend=backend,
                             threads=1, **settings)  # fmt: skip
        net.parameters = [0.0, np.sqrt(0.2)]
        return net

    @pytest.fixture
    def data(self):
        return np.zeros((self.N, 1), np.uint8), np.zeros(self.N)

    def test_loss(self, backend, data):
        X, y = data
        net = self.network(backend)
        one = net.loss(X[:1], y[:1])
        assert net.loss(X, y) == pytest.approx(one, rel=3e-16, abs=0)

    def test_fit(self, backend, data):
        X, y = data
        net = self.network(backend)
        one = net.loss(X[:1], y[:1])
        # A sum of 3,333 costs a step, and of all the steps.
        history = net.fit(X, y, optimizer=fastgd.SGD(1e-30), epochs=1, batch_size=3333)
        assert history.cost == pytest.approx([one], rel=3e-16, abs=0)

    def test_weighted(self, backend, data):
        X, y = data
        net = self.network(backend)
        weight = np.full(len(y), 0.1)
        one = net.loss(X[:1], y[:1])
        history = net.fit(X, y, optimizer=fastgd.SGD(1e-30), epochs=1, batch_size=3333,
                          sample_weight=weight)  # fmt: skip
        assert history.cost == pytest.approx([one], rel=1e-15, abs=0)

    def test_large_and_small(self, backend):
        """What is small beside the sum so far is not lost."""
        net = self.network(backend)
        net.parameters = [1.0, 0.0]
        X = np.full((4097, 1), 1.0)
        X[0] = 1e9
        costs = 0.5 * X.ravel() ** 2
        mean = net.loss(X, np.zeros(len(X)))
        exact = (costs[0] + costs[1:].sum()) / len(X)
        assert mean == pytest.approx(exact, rel=2.3e-16, abs=0)


CLASSIFIERS = [
    ("sigmoid", "binary_cross_entropy"), ("softmax", "categorical_cross_entropy"),
    ("sigmoid", "focal"),
]  # fmt: skip


@pytest.mark.parametrize(("output", "loss"), CLASSIFIERS)
@pytest.mark.parametrize("logit", [1e4, -1e4, 80.0, -800.0])
def test_costs_of_huge_logits(backend, dtype, output, loss, logit):
    """-log of what is right is the logit where that is wrong: no probability is rounded first."""
    net = fastgd.Network([1, 2], output=output, loss=loss, dtype=dtype, backend=backend)
    net.parameters = [logit, 0, 0, 0]
    X, Y = np.ones((1, 1)), np.array([[0.0, 1.0]])
    gamma = getattr(net.architecture.loss, "gamma", 0.0)
    first = max(logit, 0.0)  # what saying 0 costs; softmax has both terms in one
    if output == "sigmoid":
        expected = first + np.log1p(np.exp(-abs(logit))) if not gamma else first
        half = 0.5**gamma * np.log(2)
        expected += half
    else:
        expected = first + np.log1p(np.exp(-abs(logit)))
    assert net.loss(X, Y) == pytest.approx(expected, rel=1e-6, abs=1e-30)
    gradient = net.gradient(X, Y)
    assert np.isfinite(gradient).all()
    cost = net.partial_fit(X, Y, optimizer=fastgd.SGD(1e-3))
    assert cost == pytest.approx(expected, rel=1e-6, abs=1e-30)
    assert np.isfinite(net.parameters).all()


class TestNotFinite:
    """NaN and infinity, in what is given or by overflow of what is finite, never go unseen."""

    def network(self, backend, dtype, **settings):
        made = {"activation": "relu", "output": "identity", **settings}
        return fastgd.Network([3, 20, 2], dtype=dtype, backend=backend, seed=1, **made)

    def data(self, n, dtype):
        rng = np.random.default_rng(0)
        return rng.normal(size=(n, 3)).astype(dtype), rng.normal(size=(n, 2)).astype(dtype)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("n", [1, 3, 70, 1500])
    def test_in_what_is_given(self, backend, dtype, value, n):
        net = self.network(backend, dtype)
        X, Y = self.data(n, dtype)
        before = net.parameters.copy()
        for row in {0, n // 2, n - 1}:
            wrong = X.copy()
            wrong[row, row % 3] = value
            wrong_y = Y.copy()
            wrong_y[row, row % 2] = value
            calls = [
                net.predict, net.activations, lambda X: net.loss(X, Y),
                lambda X: net.gradient(X, Y), lambda X: net.partial_fit(X, Y),
                lambda X: net.fit(X, Y, optimizer="sgd", epochs=1),
            ]  # fmt: skip
            for call in calls:
                with pytest.raises(ValueError, match=rf"X must be finite.*X\[{row}, {row % 3}\]"):
                    call(wrong)
            for call in (net.loss, net.gradient, net.partial_fit, net.fit):
                with pytest.raises(ValueError, match="y must be finite"):
                    call(X, wrong_y)
        np.testing.assert_array_equal(net.parameters, before)

    @pytest.mark.parametrize("n", [1, 70, 1500])
    @pytest.mark.parametrize("where", range(4))
    def test_by_overflow_of_finite_parameters(self, backend, dtype, n, where):
        """Outputs and costs say so; a step is not made."""
        net = self.network(backend, dtype)
        largest = np.finfo(dtype).max / 2
        [net.weights[0], net.biases[0], net.weights[1], net.biases[1]][where][:] = largest
        X, Y = abs(self.data(n, dtype)[0]) * 100 + 50, self.data(n, dtype)[1]
        before = net.parameters.copy()
        outputs = net.predict(X)
        reference = self.network("numpy", dtype)
        reference.parameters = before
        np.testing.assert_array_equal(np.isfinite(outputs), np.isfinite(reference.predict(X)))
        assert not np.isfinite(net.loss(X, Y))
        assert net.gradient(X, Y).shape == before.shape
        for _ in range(2):  # the second takes the quick way, where there is one
            with pytest.raises(DivergenceError):
                net.partial_fit(X, Y, optimizer=fastgd.SGD(0.1))
        for optimizer in (fastgd.SGD(0.1), fastgd.Adam(), fastgd.SGD(0.1, momentum=0.9)):
            with pytest.raises(DivergenceError):
                net.fit(X, Y, optimizer=optimizer, epochs=2)
        np.testing.assert_array_equal(net.parameters, before)

    OPTIMIZERS = (
        fastgd.SGD(0.5), fastgd.SGD(0.5, momentum=0.9), fastgd.SGD(0.5, clip_norm=1e30),
        fastgd.Adam(1.0), fastgd.RMSprop(1.0), fastgd.SGD(0.5, l2=1e-3),
    )  # fmt: skip

    @pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
    @pytest.mark.parametrize("n", [1, 70])
    def test_a_step_that_overflows_is_not_made(self, backend, dtype, optimizer, n):
        """The cost is finite, and the parameters after it are not, or are infinite soon after."""
        largest = float(np.finfo(dtype).max)
        wild = dataclasses.replace(optimizer, learning_rate=largest / 2)
        net = self.network(backend, dtype)
        X, Y = self.data(n, dtype)
        net.partial_fit(X, Y, optimizer=dataclasses.replace(optimizer, learning_rate=1e-3))
        try:
            for _ in range(60):
                before, slots = net.parameters.copy(), net.state.slots.copy()
                net.partial_fit(X * 30, Y, optimizer=wild)
                assert np.isfinite(net.parameters).all()
        except DivergenceError:
            np.testing.assert_array_equal(net.parameters, before)
            np.testing.assert_array_equal(net.state.slots, slots)
        else:
            pytest.fail("nothing overflowed")
        net.parameters = self.network("numpy", dtype).parameters
        with pytest.raises(DivergenceError):
            net.fit(X * 30, Y, optimizer=wild, epochs=30)
        assert np.isfinite(net.parameters).all()


SUBNORMAL = 1e-40


class TestSubnormal:
    """Numbers too small to be normal: the reference's results, and the process keeps its own."""

    def networks(self, backend, **settings):
        for name in (backend, "numpy"):
            net = fastgd.Network(
                [30, 20, 10], output="softmax", loss="cross_entropy", backend=name, seed=1,
                **settings
            )  # fmt: skip
            yield net

    @pytest.mark.parametrize("scale", [SUBNORMAL, 1.0])
    def test_results(self, backend, scale):
        rng = np.random.default_rng(0)
        X, y = rng.random((200, 30)).astype(np.float32), rng.integers(0, 10, 200)
        results = []
        for net in self.networks(backend):
            net.parameters[::2] *= SUBNORMAL
            net.parameters[1::2] *= scale
            gradient = net.gradient(X, y)
            optimizer = fastgd.Adam(1e-3)
            net.fit(X, y, optimizer=optimizer, epochs=2, shuffle=False)
            results.append([net.predict(X), net.predict(X[:2]), gradient, net.parameters])
        for got, expected in zip(*results, strict=True):
            np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-6)

    @pytest.mark.parametrize("epsilon", [1e-8, 1e-30, 1e-37])
    @pytest.mark.parametrize("optimizer", ["adam", "nadam", "amsgrad", "adagrad", "rmsprop"])
    def test_an_epsilon_as_small(self, backend, optimizer, epsilon):
        """The square of a slope of 1e-20 is subnormal in float32; a step divides by its root."""
        made = find_optimizer(optimizer)
        chosen = dataclasses.replace(made, learning_rate=1e-3, epsilon=epsilon)
        results = []
        for name in (backend, "numpy"):
            net = fastgd.Network([1, 1], output="identity", init="zeros", backend=name)
            X, y = np.full((1, 1), 1e-20, np.float32), np.full((1, 1), -1, np.float32)
            for _ in range(3):
                net.partial_fit(X, y, optimizer=chosen)
            net.fit(X, y, optimizer=chosen, epochs=2)
            results.append(net.parameters)
        np.testing.assert_allclose(*results, rtol=2e-3)
        assert epsilon == 1e-8 or 1e-3 < -results[0][0] < 0.1

    def state(self):
        """Return what shows the floating-point settings: of NumPy, and of the processor."""
        tiny = np.float32(1e-38)
        halves = np.array([1e-38, 1e-310]) / 2
        rounded = [
            1.0 + 2.0**-53,
            -1.0 - 2.0**-53,
            1 / 3,
            1e300 * 1e10,
            ctypes.c_float(1e-40).value,
        ]
        return np.geterr(), float(tiny / np.float32(3)).hex(), halves.tolist(), rounded

    def mxcsr(self):
        """Return the x86's control bits, by a function of six bytes; elsewhere nothing."""
        if platform.machine() not in ("x86_64", "AMD64") or os.name == "nt":
            return None
        import mmap

        code = bytes.fromhex("0fae1fc3")  # stmxcsr [rdi]; ret
        page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(code)
        place = ctypes.c_uint32()
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)(ctypes.addressof(place))
        return place.value & ~0x3F  # but for the flags of what has happened

    @pytest.mark.parametrize("threads", [1, 2])
    def test_the_process_keeps_its_settings(self, backend, threads):
        before = self.state(), self.mxcsr()
        X = np.random.default_rng(0).random((300, 30))
        y = np.arange(300) % 10
        for net in self.networks(backend, threads=threads):
            for n in (2, 300):
                net.predict(X[:n]), net.loss(X[:n], y[:n]), net.gradient(X[:n], y[:n])
                net.partial_fit(X[:n], y[:n])
                assert (self.state(), self.mxcsr()) == before
            net.fit(X, y, epochs=1, optimizer="adam")
            net.parameters[:] = np.finfo(np.float32).max
            with pytest.raises(DivergenceError):
                net.fit(X, y, epochs=1, optimizer="sgd")
            assert (self.state(), self.mxcsr()) == before
