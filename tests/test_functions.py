"""Elementary functions of the compiled backends, against arbitrary precision."""

import math

import mpmath
import numpy as np
import pytest

import fastgd
from fastgd.backends import BACKENDS
from fastgd.rules import scalar

PLACES = 2  # how far from the exact value, in units in the last place

#: Where to try each function: near its change of formula, near 0, and to the ends.
RANGES = {
    "exp": [(-1, 1), (-80, 88), (-0.35, 0.35)],
    "tanh": [(-1, 1), (-20, 20), (0.62, 0.63), (-1e-6, 1e-6)],
    "log": [(0.5, 2), (1e-30, 1e30), (0.999, 1.001)],
    "log1p": [(0, 1), (-0.9, 0.1), (-1e-6, 1e-6), (0, 1e8)],
    "erf": [(-1, 1), (-6, 6), (0.99, 1.01), (-1e-6, 1e-6)],
}
WIDE = {"exp": [(-707, 709)], "tanh": [(-400, 400)], "log": [(1e-320, 1e-300), (1e300, 1e308)]}
#: What is beside the numbers, and the values there.
ENDS = {
    "exp": {math.inf: math.inf, -math.inf: 0, 1e4: math.inf, -1e4: 0, 0: 1},
    "tanh": {math.inf: 1, -math.inf: -1, 1e4: 1, -1e4: -1, 0: 0},
    "log": {math.inf: math.inf, -math.inf: math.nan, 0: -math.inf, -1: math.nan, 1: 0},
    "log1p": {math.inf: math.inf, -1: -math.inf, -2: math.nan, 0: 0},
    "erf": {math.inf: 1, -math.inf: -1, 1e4: 1, -1e4: -1, 0: 0},
}
DTYPES = ["float32", "float64"]


def points(name, dtype):
    rng = np.random.default_rng(0)
    ranges = RANGES[name] + (WIDE.get(name, []) if dtype == "float64" else [])
    return np.concatenate([rng.uniform(*ends, 300) for ends in ranges]).astype(dtype)


def places_off(values, exact):
    """Return how far values are from exact ones, in units in the last place of these."""
    spacing = np.spacing(np.abs(np.array([float(e) for e in exact], dtype=values.dtype)))
    pairs = zip(values, exact, spacing, strict=True)
    return max(float(abs(mpmath.mpf(float(v)) - e) / mpmath.mpf(float(s))) for v, e, s in pairs)


@pytest.fixture(autouse=True)
def _precision():
    with mpmath.workprec(200):
        yield


@pytest.fixture(scope="module", params=RANGES)
def compiled(request):
    """A function's name and its loop, compiled as a kernel compiles it."""
    pytest.importorskip("numba")
    from fastgd.kernels import functions  # noqa: F401
    from fastgd.kernels.compiling import compiled

    function = getattr(scalar, request.param)

    @compiled
    def loop(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    def apply(x):
        y = np.empty_like(x)
        loop(x, y)
        return y

    return request.param, apply


@pytest.mark.parametrize("dtype", DTYPES)
class TestNumba:
    def test_places(self, compiled, dtype):
        name, apply = compiled
        x = points(name, dtype)
        exact = [getattr(mpmath, name)(mpmath.mpf(float(value))) for value in x]
        assert places_off(apply(x), exact) <= PLACES

    def test_ends(self, compiled, dtype):
        name, apply = compiled
        x = np.array([math.nan, *ENDS[name]], dtype=dtype)
        expected = np.array([math.nan, *ENDS[name].values()], dtype=dtype)
        # What is less than the least normal number may be 0 or that number.
        np.testing.assert_allclose(apply(x), expected, rtol=0, atol=1e4 * np.finfo(dtype).tiny)

    def test_python_form(self, compiled, dtype):
        """The form for Python alone has the same ends."""
        name, _ = compiled
        for x, value in ENDS[name].items():
            np.testing.assert_equal(getattr(scalar, name)(float(x)), value)


def normal_below(x):
    return (1 + mpmath.erf(x / mpmath.sqrt(2))) / 2


#: Rules that are one function, as z goes through them unchanged, and how exact they can be.
RULES = {
    "exp": (mpmath.exp, (-80, 80), PLACES),
    "tanh": (mpmath.tanh, (-10, 10), PLACES),
    "softplus": (lambda x: mpmath.log1p(mpmath.exp(x)), (0, 30), 3),
    "gelu": (lambda x: x * normal_below(x), (0, 6), 3),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS)
class TestBackends:
    @pytest.mark.parametrize("rule", RULES)
    def test_activations(self, backend, dtype, rule):
        function, ends, places = RULES[rule]
        loss = {"exp": "poisson"}.get(rule, "mse")
        net = fastgd.Network([1, 1], output=rule, loss=loss, dtype=dtype, backend=backend)
        net.parameters = [1, 0]
        x = np.random.default_rng(1).uniform(*ends, 300).astype(dtype)
        exact = [function(mpmath.mpf(float(value))) for value in x]
        assert places_off(net.predict(x[:, None])[:, 0], exact) <= places

    def test_log(self, backend, dtype):
        """The cost of counts: y log y - y + 1 where the output is 1."""
        net = fastgd.Network([1, 1], output="exp", loss="poisson", dtype=dtype, backend=backend)
        net.parameters = [0, 0]
        for y in (3.0, 17.25, 250.0, 4096.0, 1e6):
            exact = y * mpmath.log(y) - y + 1
            cost = net.loss(np.zeros((1, 1)), np.array([[y]]))
            assert abs(cost - exact) <= 3 * np.finfo(dtype).eps * exact

    def test_small_residuals(self, backend, dtype):
        """log cosh keeps its digits where it is e^2/2."""
        net = fastgd.Network(
            [1, 1], output="identity", loss="log_cosh", dtype=dtype, backend=backend
        )
        net.parameters = [0, 0]
        for e in (1e-12, 1e-3, 0.3, 0.999, 1.001, 8.0):
            e = float(np.array(e, dtype=dtype))
            exact = mpmath.log(mpmath.cosh(mpmath.mpf(e)))
            assert abs(net.loss([[0.0]], [[e]]) - exact) <= 8 * np.finfo(dtype).eps * exact

    @pytest.mark.parametrize("epsilon", [1e-8, 0.3, 3e5])
    def test_quotients(self, backend, dtype, epsilon):
        """An Adagrad step from 0: g / (|g| + epsilon), over many sizes of the divisor."""
        g = np.random.default_rng(2).uniform(-1, 1, 300) * 10.0 ** np.arange(-30, 30).repeat(5)
        g = np.clip(g, -1e15, 1e15).astype(dtype)
        net = fastgd.Network(
            [1, 300], output="identity", init="zeros", dtype=dtype, backend=backend
        )
        with np.errstate(under="ignore"):
            net.partial_fit([[1.0]], -g[None], optimizer=fastgd.Adagrad(1.0, epsilon=epsilon))
        seen = mpmath.mpf(float(np.array(epsilon, dtype=dtype)))
        big = np.abs(g) > 1e-15  # smaller ones have squares that are not normal in float32
        exact = [-mpmath.mpf(float(x)) / (abs(mpmath.mpf(float(x))) + seen) for x in g[big]]
        assert places_off(net.weights[0][0][big], exact) <= 4
