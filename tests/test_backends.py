"""One conformance suite for every backend but the reference, against the reference.

A backend enters by being listed in `fastgd.backends.BACKENDS`. Ways to run one (threads, a
sparse first layer) enter as further `SUBJECTS`.
"""

from __future__ import annotations

import importlib.util
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pytest
from conformance import (
    HIDDEN,
    OPTIMIZERS,
    RULE_TRIPLES,
    Case,
    assert_close,
    assert_layers_close,
    check,
    check_forward,
    check_loss_and_gradient,
    check_train,
    forward,
    loss_and_gradient,
    train,
    varied,
)
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import fastgd
from fastgd.backends import BACKENDS, backend, plan, reference
from fastgd.engine.architecture import DTYPES
from fastgd.engine.rows import Rows
from fastgd.engine.sparse import compress
from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.losses import LOSSES
from fastgd.rules.optimizers import SGD

COMPILED = [name for name in BACKENDS if name != "numpy"]
WIDTHS = (1, 5, 16, 17, 30, 100)


@dataclass(frozen=True)
class Subject:
    """A way to run a backend: with a number of threads, and inputs with or without their zeros."""

    name: str
    n_threads: int = 1
    sparse: bool = False

    def __str__(self):
        return f"{self.name}-{self.n_threads}{'-sparse' * self.sparse}"

    @property
    def module(self):
        return backend(self.name)

    def inputs(self, X):
        return compress(X) if self.sparse else X

    def forward(self, architecture, parameters, X, outputs):
        return self.module.forward(
            architecture, parameters, self.inputs(X), outputs, self.n_threads
        )

    def rows(self, rows):
        return replace(rows, X=self.inputs(rows.X))

    def loss_and_gradient(self, architecture, parameters, rows, gradient, draw=None):
        return self.module.loss_and_gradient(
            architecture, parameters, self.rows(rows), gradient, self.n_threads, draw
        )

    def train(self, architecture, parameters, slots, rows, *rest, draw=None):
        return self.module.train(
            architecture, parameters, slots, self.rows(rows), *rest, self.n_threads, draw
        )


WAYS = {
    **{
        name: [
            Subject(name, n_threads, sparse)
            for n_threads, sparse in ((1, False), (1, True), (2, True), (3, False))
        ]
        for name in COMPILED
    },
    "numpy": [Subject("numpy", 1, True)],
}
SUBJECTS = [subject for ways in WAYS.values() for subject in ways]


def in_turn(**values):
    """Parametrise over all combinations of the values, each on every backend and in every dtype.

    A backend's ways to run take turns, so that a value meets all of them, or two where it stands
    alone. Their product would say no more: threads and zeros change where numbers lie, not what
    they are.
    """
    combinations = list(product(*values.values()))
    turns = []
    for i, combination in enumerate(combinations):
        for j, dtype in enumerate(DTYPES):
            # Two on for the other dtype, one on after each round: in step with no value.
            turn = i + i // 4 + 2 * j
            turns += [(ways[turn % len(ways)], dtype, *combination) for ways in WAYS.values()]
    names = ("subject", "dtype", *values)
    ids = [re.sub(r"[^\w.,-]", "", "-".join(map(str, turn))) for turn in turns]
    return pytest.mark.parametrize(names, turns, ids=ids, indirect=("subject", "dtype"))


@pytest.fixture(params=SUBJECTS, ids=str)
def subject(request):
    """A backend under test; one that is installed but broken is a failure."""
    if importlib.util.find_spec(BACKENDS[request.param.name]) is None:
        pytest.skip(f"{BACKENDS[request.param.name]} is not installed")
    return request.param


@pytest.fixture(params=DTYPES)
def dtype(request):
    return request.param


@in_turn(rules=RULE_TRIPLES)
def test_every_rule(subject, dtype, rules):
    activation, output, loss = rules
    case = Case(activation=activation, output=output, loss=loss, dtype=dtype)
    check(subject, replace(case, optimizer=SGD(0.03)))
    check_loss_and_gradient(subject, replace(case, classes=True))


@pytest.mark.parametrize("name", [name for name in HIDDEN if ACTIVATIONS[name].numbers])
def test_parameters_of_activations(subject, dtype, name):
    rule = varied(ACTIVATIONS[name])
    case = Case(activation=[rule, ACTIVATIONS[name]], output=rule, dtype=dtype)
    check(subject, case)


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.numbers])
def test_parameters_of_losses(subject, dtype, name):
    loss = varied(LOSSES[name])
    case = Case(loss=loss, output=loss.outputs[0], dtype=dtype, optimizer=SGD(0.03))
    check(subject, case)
    check_loss_and_gradient(subject, replace(case, classes=True))


@pytest.mark.parametrize("average", ["quadratic", "sse"])
@pytest.mark.parametrize("optimizer", ["plain", "limits"])
def test_weights_of_rows(subject, dtype, optimizer, average):
    case = Case(dtype=dtype, weights=True, optimizer=OPTIMIZERS[optimizer], loss=average)
    check(subject, case)
    nothing = replace(case, batch_size=5, n=15)
    nothing.w[:] = 0
    check(subject, nothing)


@in_turn(
    zeros=[0.0, 0.8],
    optimizer=["plain", "limits", "adam"],
    dropout=[0.4, [0.3, 0.0, 0.5], [0.9, 0.1, 0.0]],
)
def test_dropout(subject, dtype, dropout, optimizer, zeros):
    case = Case(
        sizes=(70, 33, 20, 5), dtype=dtype, dropout=dropout, optimizer=OPTIMIZERS[optimizer],
        zeros=zeros, activation=["tanh", "leaky_relu"],
    )  # fmt: skip
    check(subject, case)
    check_train(subject, replace(case, n=300, batch_size=150, weights=True))


@in_turn(width=WIDTHS, batch_size=[1, 3, 10, 32])
def test_every_width_and_batch_size(subject, dtype, width, batch_size):
    case = Case(dtype=dtype, n=47, batch_size=batch_size, activation="tanh")  # 47: a last batch
    check(subject, replace(case, sizes=(width, 7, 3)))
    check(subject, replace(case, sizes=(7, width, 3)))
    check(subject, replace(case, sizes=(7, 5, width)))


@in_turn(
    sizes=[(1, 1), (7, 1), (64, 1), (65, 1), (200, 1, 1), (130, 17, 1), (70, 1, 5)],
    optimizer=[SGD(0.003), OPTIMIZERS["limits"], OPTIMIZERS["adam_limits"]],
)
def test_layers_of_one_output(subject, dtype, sizes, optimizer):
    case = Case(sizes=sizes, dtype=dtype, kind=dtype, optimizer=optimizer)
    case = replace(case, output="identity", loss="mse", activation="tanh")
    check(subject, case)
    dropout = [0.2, 0.4, 0.4][: len(sizes) - 1]
    check(subject, replace(case, n=150, batch_size=70, dropout=dropout, weights=True))
    check(subject, replace(case, n=20, batch_size=1))


@in_turn(n_inputs=[1, 15, 16, 33, 150], zeros=[0.0, 0.7, 1.0], batch_size=[1, 9, 30])
def test_rows_are_read_where_they_lie(subject, dtype, n_inputs, zeros, batch_size):
    case = Case((n_inputs, 17, 2), dtype=dtype, kind=dtype, zeros=zeros, batch_size=batch_size)
    check(subject, case)
    case.X[:, ::3] *= np.finfo(dtype).tiny / 64  # too small to be normal numbers
    check_forward(subject, case)
    check_train(subject, case)


@in_turn(width=[5, 20, 40, 150], optimizer=["plain", "decay", "momentum"])
def test_many_rows_that_are_mostly_zeros(subject, dtype, width, optimizer):
    """Their gradients are summed apart, or by columns, or go to the weights one by one."""
    case = Case(sizes=(70, width, 2), dtype=dtype, optimizer=OPTIMIZERS[optimizer], n=210)
    for zeros in (0.8, 0.99):
        case = replace(case, kind=dtype, batch_size=100, zeros=zeros)
        check_train(replace(subject, sparse=True), case)


@pytest.mark.filterwarnings("ignore:overflow encountered")
@in_turn(n_rows=[1, 5, 300], zeros=[0.0, 0.8])
def test_sums_of_finite_inputs_may_be_infinite(subject, dtype, n_rows, zeros):
    case = Case(dtype=dtype, kind=dtype, zeros=zeros, n=n_rows, sizes=(70, 5, 3))
    case.parameters[:] = np.abs(case.parameters)
    case.X[-1] = np.finfo(dtype).max / 2
    outputs = np.empty((n_rows, 3), dtype)
    assert subject.forward(case.architecture, case.parameters, case.X, outputs)
    assert np.isfinite(outputs).all()  # a sigmoid of infinity


@in_turn(depth=range(9), activation=["sigmoid", "tanh", "relu"])
def test_every_depth(subject, dtype, depth, activation):
    hidden = (17, 5, 30, 16, 1, 33, 8, 20)[:depth]
    case = Case(sizes=(6, *hidden, 4), activation=activation, dtype=dtype, output="identity")
    check(subject, replace(case, optimizer=SGD(0.01)))


@in_turn(optimizer=OPTIMIZERS, batch_size=[4, 9])
def test_every_optimizer(subject, dtype, optimizer, batch_size):
    case = Case(dtype=dtype, n=45, batch_size=batch_size, optimizer=OPTIMIZERS[optimizer])
    check_train(subject, replace(case, sizes=(5, 17, 3)))
    check_train(subject, replace(case, sizes=(5, 17, 3), loss="sse", output="tanh"))


@in_turn(
    numbers=[("uint8", 1 / 255), ("uint8", -0.01), ("float32", 0.5), ("float64", -2.0)],
    zeros=[0.0, 0.8, 1.0],
)
def test_every_kind_of_input(subject, dtype, numbers, zeros):
    kind, input_scale = numbers
    case = Case(dtype=dtype, kind=kind, input_scale=input_scale, zeros=zeros, sizes=(40, 17, 3))
    check(subject, case)


@in_turn(kind=["uint8", "float32", "float64"], n_inputs=[64, 90, 113])
def test_zeros_left_out_as_rows_are_read(subject, dtype, kind, n_inputs):
    scale = 1 / 255 if kind == "uint8" else -0.5
    case = Case(dtype=dtype, kind=kind, input_scale=scale, zeros=0.8, sizes=(n_inputs, 17, 3))
    case = replace(case, n=300)
    check_forward(subject, case)
    check_loss_and_gradient(subject, case)


@pytest.mark.filterwarnings("ignore:.*encountered in")
@in_turn(zeros=[0.0, 0.8], bad=[np.nan, np.inf, -np.inf], n_rows=[1, 4, 5, 70, 1100])
def test_predictions_tell_of_inputs_that_are_not_finite(subject, dtype, n_rows, bad, zeros):
    case = Case(dtype=dtype, kind=dtype, zeros=zeros, n=n_rows, sizes=(70, 5, 3))
    outputs = np.empty((n_rows, 3), dtype)
    for row, column in [(0, 69), (n_rows - 1, 0), (n_rows // 2, 35)]:
        X = case.X.copy()
        assert subject.forward(case.architecture, case.parameters, X, outputs)
        X[row, column] = bad
        assert not subject.forward(case.architecture, case.parameters, X, outputs)


class TestBlocks:
    """Batches larger than a block of rows are computed in blocks and stepped once."""

    @in_turn(batch_size=[1024, 1025, 1500, 2500], optimizer=["plain", "everything"])
    def test_more_rows_than_a_block(self, subject, dtype, batch_size, optimizer):
        assert plan.MAX_ROWS == 1024
        case = Case(sizes=(3, 17, 2), n=2500, batch_size=batch_size, dtype=dtype)
        check(subject, replace(case, optimizer=OPTIMIZERS[optimizer]))

    def test_dropout_in_more_rows_than_a_block(self, subject, dtype):
        case = Case(sizes=(3, 17, 2), n=1100, batch_size=1100, dtype=dtype, dropout=[0.3, 0.4])
        check(subject, case)

    @pytest.mark.parametrize("loss", ["mse", "sse"])
    def test_rows_too_wide_for_a_block(self, subject, dtype, loss, monkeypatch):
        monkeypatch.setattr(plan, "BLOCK_BYTES", 1 << 12)
        plan.plan_for.cache_clear()
        optimizer = SGD(1e-3, momentum=0.9)
        case = Case(sizes=(50, 20, 2), n=100, batch_size=70, loss=loss, output="identity")
        check(subject, replace(case, dtype=dtype, optimizer=optimizer))
        check(subject, replace(case, dtype=dtype, optimizer=SGD(1e-3, l2=0.1)))
        plan.plan_for.cache_clear()

    def test_gradients_and_outputs_of_many_rows(self, subject, dtype):
        for n in (63, 64, 65, 1023, 2049):
            check_forward(subject, Case(sizes=(5, 20, 3), n=n, dtype=dtype))
            check_loss_and_gradient(subject, Case(sizes=(5, 20, 3), n=n, dtype=dtype))


class TestContract:
    """What `fastgd.backends` promises besides the numbers."""

    def test_gradients_are_added(self, subject, dtype):
        case = Case(dtype=dtype)
        start = case.rng(9).standard_normal(case.parameters.size).astype(dtype)
        gradient = start.copy()
        subject.loss_and_gradient(case.architecture, case.parameters, case.rows(), gradient)
        expected = start + loss_and_gradient(reference, case)[1]
        assert_layers_close(case, gradient, expected, "sum")

    def test_arguments_are_left_alone(self, subject, dtype):
        for classes in (False, True):
            case = Case(dtype=dtype, classes=classes)
            before = [a.tobytes() for a in (case.X, case.Y, case.parameters)]
            check(subject, case)
            assert [a.tobytes() for a in (case.X, case.Y, case.parameters)] == before

    def test_classes_are_one_hot_targets(self, subject, dtype):
        case = Case(dtype=dtype, classes=True, output="softmax", loss="cross_entropy")
        one_hot = np.eye(3, dtype=dtype)[case.Y]
        cost, gradient = loss_and_gradient(subject, case)
        other = np.zeros_like(gradient)
        arguments = (case.architecture, case.parameters, Rows(case.X, one_hot))
        assert subject.loss_and_gradient(*arguments, other) == cost
        assert np.array_equal(other, gradient)

    def test_order_may_repeat_and_leave_out_rows(self, subject, dtype):
        case = Case(dtype=dtype)
        order = np.array([7, 7, 7, 0, 22, 3, 7])
        results = []
        for module in (subject, reference):
            parameters = case.parameters.copy()
            steps, cost = module.train(
                case.architecture, parameters, parameters.reshape(1, -1)[:0], case.rows(order), 3,
                SGD().update, SGD().table(0, 3),
            )  # fmt: skip
            assert steps == 3
            results.append((cost, parameters))
        assert_close(results[0][0], results[1][0], dtype, "cost")
        assert_layers_close(case, results[0][1], results[1][1], "parameters")

    @in_turn(bad_row=[0, 9, 10, 22], optimizer=["plain", "momentum"])
    def test_no_step_is_made_for_a_cost_that_is_not_finite(
        self, subject, dtype, bad_row, optimizer
    ):
        case = Case(dtype=dtype, output="identity", optimizer=OPTIMIZERS[optimizer])
        case.Y[bad_row] = np.inf
        results = []
        for module in (subject, reference):
            slots = np.zeros((len(case.optimizer.update.slots), case.parameters.size), dtype)
            parameters = case.parameters.copy()
            with np.errstate(invalid="ignore"):
                steps, cost = module.train(
                    case.architecture, parameters, slots, case.rows(), 10,
                    case.optimizer.update, case.optimizer.table(0, 3),
                )  # fmt: skip
            assert steps == bad_row // 10
            assert np.isfinite(cost) and np.isfinite(parameters).all()
            results.append(parameters)
        assert_layers_close(case, results[0], results[1], "parameters")
        assert (steps == 0) == np.array_equal(results[0], case.parameters)


class TestWorkingMemory:
    """Padding never leaks, and memory of an earlier call is never seen."""

    def test_calls_of_other_sizes_between_change_nothing(self, subject, dtype):
        case = Case(dtype=dtype, sizes=(17, 33, 5), optimizer=OPTIMIZERS["momentum"])
        first = train(subject, case)
        for n, batch_size in ((1, 1), (1100, 1100), (64, 7)):
            other = replace(case, n=n, batch_size=batch_size, seed=5)
            train(subject, other), forward(subject, other), loss_and_gradient(subject, other)
        again = train(subject, case)
        assert first[0] == again[0]
        assert np.array_equal(first[1], again[1]) and np.array_equal(first[2], again[2])

    @pytest.mark.filterwarnings("ignore:.*encountered in")
    @pytest.mark.parametrize("optimizer", ["plain", "momentum"])
    def test_a_call_that_overflowed_leaves_no_trace(self, subject, dtype, optimizer):
        case = Case(dtype=dtype, sizes=(17, 33, 5), output="identity", activation="relu")
        case = replace(case, optimizer=OPTIMIZERS[optimizer])
        expected = train(subject, case), forward(subject, case), loss_and_gradient(subject, case)
        wild = replace(case)
        wild.parameters[:] = np.finfo(dtype).max
        assert train(subject, wild)[0][0][0] == 0
        forward(subject, wild), loss_and_gradient(subject, wild)
        for rate in (1e30, 1e300):  # infinite in float32: zeros times it are NaN
            wild = replace(case, optimizer=replace(case.optimizer, learning_rate=rate))
            with np.errstate(over="ignore", invalid="ignore"):
                assert train(subject, wild)[0][0][0] < 3
        actual = train(subject, case), forward(subject, case), loss_and_gradient(subject, case)
        for a, b in zip(_arrays(actual), _arrays(expected), strict=True):
            assert np.array_equal(a, b)

    def test_a_column_of_zeros_is_the_same_as_none(self, subject, dtype):
        narrow = Case(dtype=dtype, sizes=(16, 16, 3))
        wide = replace(narrow, sizes=(17, 16, 3))
        wide.X[:, :16], wide.X[:, 16] = narrow.X, 0
        W = wide.architecture.layout.weights(wide.parameters)
        b = wide.architecture.layout.biases(wide.parameters)
        for layer, (V, c) in enumerate(
            zip(
                narrow.architecture.layout.weights(narrow.parameters),
                narrow.architecture.layout.biases(narrow.parameters),
                strict=True,
            )
        ):
            W[layer][: len(V)], b[layer][:] = V, c
        assert_close(forward(subject, wide), forward(subject, narrow), dtype, "outputs")

    def test_threads_at_the_same_time_agree(self, subject, dtype):
        case = Case(dtype=dtype, n=300, sizes=(17, 33, 5), batch_size=7)
        expected = train(subject, case)
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda _: train(subject, case), range(12)))
        for result in results:
            assert np.array_equal(result[1], expected[1])

    @pytest.mark.slow
    def test_memory_of_many_large_networks_is_given_back(self, subject):
        """However many architectures were used, what is kept between calls stays small."""
        for hidden in range(1000, 1040):
            forward(subject, Case(sizes=(500, hidden, 2), n=1))
        kept = plan._pool.nbytes
        assert kept <= 64 << 20, f"{kept >> 20} MB are kept"


def _arrays(results):
    (_, parameters, slots), outputs, (cost, gradient) = results
    return parameters, slots, outputs, np.array(cost), gradient


CASES = st.builds(
    lambda rules, sizes, **fields: Case(
        sizes=tuple(sizes), activation=rules[0], output=rules[1], loss=rules[2], **fields
    ),
    st.sampled_from(RULE_TRIPLES),
    st.lists(st.integers(1, 40), min_size=2, max_size=7),
    dtype=st.just("float64"),
    kind=st.sampled_from(["float32", "float64", "uint8"]),
    input_scale=st.sampled_from([1 / 255, 0.01, -0.003]),
    zeros=st.sampled_from([0.0, 0.8]),
    n=st.integers(1, 150),
    classes=st.booleans(),
    batch_size=st.integers(1, 150),
    optimizer=st.sampled_from(
        [SGD(0.01), SGD(0.003, momentum=0.9, nesterov=True, l2=0.1), OPTIMIZERS["adam_limits"]]
    ),
    dropout=st.sampled_from([0.0, 0.3]),
    weights=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)


class Nudged:
    """The reference, its parameters a few last bits away: sums in another order differ as much."""

    def __init__(self, case):
        signs = case.rng(9).choice([-4, 4], len(case.parameters))
        self.factors = 1 + np.finfo(case.dtype).eps * signs

    def forward(self, architecture, parameters, *rest):
        return reference.forward(architecture, parameters * self.factors, *rest)

    def loss_and_gradient(self, architecture, parameters, *rest, draw):
        parameters = parameters * self.factors
        return reference.loss_and_gradient(architecture, parameters, *rest, draw=draw)

    def train(self, architecture, parameters, *rest, draw):
        parameters *= self.factors
        return reference.train(architecture, parameters, *rest, draw=draw)


def settles(case):
    """Return whether all numbers stay finite, costs do not grow, and rounding stays rounding."""
    with np.errstate(over="raise", invalid="raise"):
        try:
            check(Nudged(case), case)
        except (FloatingPointError, AssertionError):
            return False
    ((_, first), (_, last)), *_ = train(reference, case)
    return last <= 2 * first


@pytest.mark.slow
@pytest.mark.parametrize("name", WAYS)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=CASES, data=st.data())
def test_random_cases(name, case, data):
    subject = data.draw(st.sampled_from(WAYS[name]))
    assume(settles(case))
    check_forward(subject, case)
    check_loss_and_gradient(subject, case)
    check_train(subject, case)


class TestChoice:
    """`fastgd.set_backend`, ``Network(backend=...)`` and what is said about backends."""

    @pytest.fixture(autouse=True)
    def _restore(self, monkeypatch):
        monkeypatch.setattr(fastgd.backends, "_chosen", None)
        monkeypatch.delenv("FASTGD_BACKEND", raising=False)

    def test_auto_takes_the_first(self):
        fastgd.set_backend("auto")
        assert fastgd.backends.current() == next(iter(BACKENDS))

    @pytest.mark.parametrize("name", BACKENDS)
    def test_named(self, name, capsys):
        fastgd.set_backend(name)
        assert fastgd.backends.current() == name
        assert backend() is backend(name)
        fastgd.show_backends()
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == list(BACKENDS)
        assert [line for line in lines if "in use" in line] == [f"{name:8s} in use"]

    def test_environment(self, monkeypatch):
        monkeypatch.setenv("FASTGD_BACKEND", "numpy")
        assert backend() is reference
        fastgd.set_backend("numba")
        assert backend() is not reference

    def test_environment_with_a_wrong_name(self, monkeypatch):
        monkeypatch.setenv("FASTGD_BACKEND", "nunpy")
        with pytest.raises(ValueError, match=r"FASTGD_BACKEND .*'nunpy'; did you mean 'numpy'\?"):
            backend()

    def test_a_network_has_its_own(self):
        fastgd.set_backend("numba")
        net = fastgd.Network([2, 1], backend="numpy")
        assert net.backend == "numpy" and fastgd.backends.current() == "numba"

    def test_unknown(self):
        with pytest.raises(ValueError, match=r"backend must be one of auto, .*'numpi'.*'numpy'"):
            fastgd.set_backend("numpi")
        with pytest.raises(ValueError, match=r"backend must be one of auto, .*'numbra'.*'numba'"):
            fastgd.Network([2, 1], backend="numbra")

    def test_absent(self, monkeypatch, capsys):
        monkeypatch.setitem(BACKENDS, "numba", "not_a_package")
        monkeypatch.setitem(BACKENDS, "native", "not_a_package")
        with pytest.raises(ValueError, match="'numba' cannot be used: not_a_package is not inst"):
            fastgd.set_backend("numba")
        fastgd.set_backend("auto")
        assert fastgd.backends.current() == "numpy"
        fastgd.show_backends()
        assert "numba    not_a_package is not installed" in capsys.readouterr().out

    def test_broken(self, monkeypatch):
        def broken(name):
            raise OSError("libsomething.so: cannot open\nand a second line")

        monkeypatch.setattr(fastgd.backends, "_module", broken)
        reason = fastgd.backends.why_not("numba")
        assert reason == "numba does not load: OSError: libsomething.so: cannot open"


@pytest.mark.parametrize("name", BACKENDS)
def test_backends_have_three_functions_and_nothing_else(name):
    assert sorted(backend(name).__all__) == ["forward", "loss_and_gradient", "train"]


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("optimizer", ["plain", "momentum", "limits"])
@pytest.mark.parametrize("dropout", [0.0, [0.2, 0.3, 0.4]], ids=["all", "dropout"])
@pytest.mark.parametrize(("width", "batch_size"), [(33, 19), (150, 19), (150, 100)])
def test_any_number_of_threads_gives_the_same_bytes(
    name, dtype, sparse, optimizer, width, batch_size, dropout
):
    """A first layer of 150 units is shared by columns, of 33 by rows."""
    case = Case(
        sizes=(70, width, 20, 5), n=150, batch_size=batch_size, zeros=0.7, dtype=dtype,
        activation="tanh", output="softmax", loss="cross_entropy", dropout=dropout,
        optimizer=OPTIMIZERS[optimizer], weights=True,
    )  # fmt: skip
    expected = None
    for n_threads in (1, 2, 3, 4, 8):
        subject = Subject(name, n_threads, sparse)
        results = train(subject, case), forward(subject, case), loss_and_gradient(subject, case)
        actual = [array.tobytes() for array in _arrays(results)]
        expected = expected or actual
        assert actual == expected, f"{n_threads} threads"


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("sizes", [(150, 1), (150, 40, 1)])
@pytest.mark.parametrize("optimizer", [SGD(0.003), OPTIMIZERS["limits"]], ids=["plain", "limits"])
def test_threads_give_the_same_bytes_where_there_is_one_output(name, dtype, sizes, optimizer):
    case = Case(sizes, n=150, batch_size=70, dtype=dtype, loss="mse", optimizer=optimizer)
    subjects = [Subject(name, n_threads) for n_threads in (1, 2, 3, 8)]
    first, *others = (
        [array.tobytes() for array in (*train(s, case)[1:], forward(s, case))] for s in subjects
    )
    assert all(other == first for other in others)
