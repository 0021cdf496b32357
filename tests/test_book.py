"""The book's interface: its algorithm, number for number, and the lines it prints."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import fastgd
from fastgd import book
from fastgd.backends import why_not
from fastgd.errors import DataError

SIZES = [7, 5, 4, 3]


class Oracle:
    """Chapter 1's algorithm, one example at a time, on lists of arrays of its own."""

    def __init__(self, net):
        self.num_layers = len(net.sizes)
        self.biases = [np.array(b) for b in net.biases]
        self.weights = [np.array(w) for w in net.weights]

    def feedforward(self, a):
        for b, w in zip(self.biases, self.weights, strict=True):
            a = 1.0 / (1.0 + np.exp(-(np.dot(w, a) + b)))
        return a

    def update_mini_batch(self, mini_batch, eta):
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        for x, y in mini_batch:
            delta_nabla_b, delta_nabla_w = self.backprop(x, y)
            nabla_b = [nb + dnb for nb, dnb in zip(nabla_b, delta_nabla_b, strict=True)]
            nabla_w = [nw + dnw for nw, dnw in zip(nabla_w, delta_nabla_w, strict=True)]
        m = len(mini_batch)
        self.weights = [w - (eta / m) * nw for w, nw in zip(self.weights, nabla_w, strict=True)]
        self.biases = [b - (eta / m) * nb for b, nb in zip(self.biases, nabla_b, strict=True)]

    def backprop(self, x, y):
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        activations, zs = [x], []
        for b, w in zip(self.biases, self.weights, strict=True):
            zs.append(np.dot(w, activations[-1]) + b)
            activations.append(1.0 / (1.0 + np.exp(-zs[-1])))
        slopes = [a * (1 - a) for a in activations[1:]]
        delta = self.cost_derivative(activations[-1], y) * slopes[-1]
        nabla_b[-1] = delta
        nabla_w[-1] = np.dot(delta, activations[-2].transpose())
        for layer in range(2, self.num_layers):
            delta = np.dot(self.weights[-layer + 1].transpose(), delta) * slopes[-layer]
            nabla_b[-layer] = delta
            nabla_w[-layer] = np.dot(delta, activations[-layer - 1].transpose())
        return nabla_b, nabla_w

    def cost_derivative(self, output_activations, y):
        return output_activations - y


def same(found, expected) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


def examples(n: int, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=(SIZES[0], 1)), rng.random((SIZES[-1], 1))) for _ in range(n)]


@pytest.fixture
def net():
    return book.Network(SIZES, seed=3)


# ------------------------------------------------------------------------------ the algorithm


def test_it_starts_as_the_book_s(net):
    assert net.num_layers == 4 and net.sizes == SIZES
    assert [b.shape for b in net.biases] == [(5, 1), (4, 1), (3, 1)]
    assert [w.shape for w in net.weights] == [(5, 7), (4, 5), (3, 4)]
    assert all(array.dtype == np.float64 for array in net.biases + net.weights)
    many = book.Network([300, 300], seed=1)
    for numbers in (many.weights[0], book.Network([1, 5000], seed=1).biases[0]):
        assert abs(numbers.mean()) < 0.05 and abs(numbers.std() - 1) < 0.05
    same(book.Network(SIZES, seed=3).weights, net.weights)
    assert not np.array_equal(book.Network(SIZES).weights[0], book.Network(SIZES).weights[0])


@pytest.mark.parametrize("backend", ["numpy", "numba", "native"])
def test_feedforward_and_backprop(net, backend):
    if missing := why_not(backend):
        pytest.skip(missing)
    net.network.backend = backend
    oracle = Oracle(net)
    for x, y in examples(5):
        same([net.feedforward(x)], [oracle.feedforward(x)])
        for found, expected in zip(net.backprop(x, y), oracle.backprop(x, y), strict=True):
            same(found, expected)


def test_feedforward_of_several_columns(net):
    a = np.random.default_rng(1).normal(size=(7, 6))
    same([net.feedforward(a)], [Oracle(net).feedforward(a)])
    assert net.feedforward(a).shape == (3, 6)


@pytest.mark.parametrize("m", [1, 10, 33])
def test_update_mini_batch(net, m):
    oracle = Oracle(net)
    for step, eta in enumerate([3.0, 3.0, 0.1]):
        mini_batch = examples(m, step)
        net.update_mini_batch(mini_batch, eta)
        oracle.update_mini_batch(mini_batch, eta)
        same(net.weights, oracle.weights)
        same(net.biases, oracle.biases)


def test_sgd_is_update_mini_batch_over_shuffles(net, capsys):
    """In the order of the network's generator, the last mini-batch being smaller."""
    pairs = examples(23)
    oracle, rng = Oracle(net), copy.deepcopy(net.network.rng)
    net.SGD(pairs, 2, 5, 3.0)
    for _ in range(2):
        order = rng.permutation(23)
        for k in range(0, 23, 5):
            oracle.update_mini_batch([pairs[i] for i in order[k : k + 5]], 3.0)
    same(net.weights, oracle.weights)
    same(net.biases, oracle.biases)


def test_cost_derivative_and_functions(net):
    np.testing.assert_array_equal(
        net.cost_derivative(np.array([[3.0], [1.0]]), np.array([[1.0], [1.0]])), [[2.0], [0.0]]
    )
    z = np.linspace(-5, 5, 11)
    np.testing.assert_allclose(book.sigmoid(z), 1 / (1 + np.exp(-z)), rtol=1e-14)
    slope = (book.sigmoid(z + 1e-6) - book.sigmoid(z - 1e-6)) / 2e-6
    np.testing.assert_allclose(book.sigmoid_prime(z), slope, rtol=1e-8)
    assert book.sigmoid([-1000, 1000]).tolist() == [0, 1]
    assert book.vectorized_result(9).tolist() == [[0.0]] * 9 + [[1.0]]


# ------------------------------------------------------------------------- weights and biases


def test_changes_reach_the_network(net):
    x, _ = examples(1)[0]

    def agrees():
        same([net.feedforward(x)], [Oracle(net).feedforward(x)])
        return net.feedforward(x).copy()

    seen = [agrees()]
    net.weights[0][1, 2] += 1.0
    seen.append(agrees())
    net.biases[-1] = np.array([[1.0], [2.0], [3.0]])
    assert net.biases[-1].ravel().tolist() == [1, 2, 3]
    seen.append(agrees())
    net.weights[1] -= 0.5
    seen.append(agrees())
    net.weights = [w - 0.25 * w for w in net.weights]
    net.biases = [2 * b for b in net.biases]
    assert net.biases[-1].ravel().tolist() == [2, 4, 6]
    seen.append(agrees())
    net.weights[1:] = [np.zeros((4, 5)), np.ones((3, 4))]
    seen.append(agrees())
    net.weights[-1] = np.flip(net.weights[-1] * [[1], [2], [3]])  # from its own memory
    assert net.weights[-1][:, 0].tolist() == [3, 2, 1]
    seen.append(agrees())
    assert len({a.tobytes() for a in seen}) == len(seen)


def test_wrong_shapes_change_nothing(net):
    before = net.network.parameters.copy()
    with pytest.raises(ValueError, match=r"biases\[0\] must have shape \(5, 1\); got shape \(5,\)"):
        net.biases[0] = np.zeros(5)
    with pytest.raises(ValueError, match=r"weights\[2\] must have shape \(3, 4\)"):
        net.weights = [np.zeros((5, 7)), np.zeros((4, 5)), np.zeros((4, 3))]
    with pytest.raises(ValueError, match="weights must be 3 arrays; got 1"):
        net.weights = [np.zeros((5, 7))]
    with pytest.raises(IndexError):
        net.biases[3] = np.zeros((3, 1))
    np.testing.assert_array_equal(net.network.parameters, before)


def test_copies_are_apart(net):
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        same(other.weights, net.weights)
        other.weights[0][:] = 0
        assert not other.network.weights[0].any() and net.weights[0].all()


# ----------------------------------------------------------------------------- what is printed


def test_the_printed_lines(net, capsys):
    pairs = examples(12)
    tests = [(x, int(np.argmax(y))) for x, y in pairs]
    assert net.SGD(pairs, 3, 4, 1.0) is None
    assert capsys.readouterr().out == "Epoch 0 complete\nEpoch 1 complete\nEpoch 2 complete\n"
    net.SGD(pairs, 1, 4, 1.0, test_data=[])  # the book: no test data
    assert capsys.readouterr().out == "Epoch 0 complete\n"
    net.SGD(pairs, 2, 4, 1.0, tests[:5])
    lines = capsys.readouterr().out.split("\n")
    assert lines[1] == f"Epoch 1: {net.evaluate(tests[:5])} / 5" and lines[2] == ""
    assert lines[0].startswith("Epoch 0: ") and lines[0].endswith(" / 5") and len(lines) == 3
    net.SGD(pairs, 0, 4, 1.0, tests)
    assert capsys.readouterr().out == ""


def test_lists_zips_and_generators(capsys):
    pairs = examples(12)
    tests = [(x, int(np.argmax(y))) for x, y in pairs]
    xs, ys = zip(*pairs, strict=True)
    given = [
        (pairs, tests),
        (zip(xs, ys, strict=True), zip(xs, [y for _, y in tests], strict=True)),
        ((pair for pair in pairs), iter(tests)),
        (tuple(pairs), tuple(tests)),
        ([[x.tolist(), y.tolist()] for x, y in pairs], [(x.tolist(), y) for x, y in tests]),
    ]
    runs = []
    for training_data, test_data in given:
        net = book.Network(SIZES, seed=5)
        net.SGD(training_data, 3, 4, 3.0, test_data=test_data)
        runs.append((net.network.parameters.tolist(), capsys.readouterr().out))
    assert all(run == runs[0] for run in runs) and "Epoch 2: " in runs[0][1]


def test_evaluate_counts(net):
    pairs = examples(40)
    oracle = Oracle(net)
    answers = [int(np.argmax(oracle.feedforward(x))) for x, _ in pairs]
    tests = [(x, answer) for (x, _), answer in zip(pairs, answers, strict=True)]
    tests[::4] = [(x, (answer + 1) % 3) for x, answer in tests[::4]]
    assert net.evaluate(tests) == 30 and isinstance(net.evaluate(tests), int)
    assert net.evaluate(zip(*zip(*tests, strict=True), strict=True)) == 30
    wanted = [(x, np.eye(3)[:, [digit]]) for x, digit in tests]  # as in the training data
    assert net.evaluate(wanted) == 30 and net.evaluate([]) == 0


def test_the_caller_s_data_stay(net):
    pairs = examples(9)
    before = copy.deepcopy(pairs)
    net.SGD(pairs, 2, 4, 3.0)
    net.update_mini_batch(pairs, 3.0)
    net.backprop(*pairs[0])
    for (x, y), (x_before, y_before) in zip(pairs, before, strict=True):
        np.testing.assert_array_equal(x, x_before)
        np.testing.assert_array_equal(y, y_before)


# --------------------------------------------------------------------------- readers' own methods


class CrossEntropy(book.Network):
    """Chapter 3's cost, for which dC/da is (a - y) / (a (1 - a))."""

    def cost_derivative(self, output_activations, y):
        return (output_activations - y) / (output_activations * (1 - output_activations))


class OracleCrossEntropy(Oracle):
    cost_derivative = CrossEntropy.cost_derivative


def test_a_cost_of_one_s_own(capsys):
    net, pairs = CrossEntropy(SIZES, seed=3), examples(12)
    oracle = OracleCrossEntropy(net)
    for found, wanted in zip(net.backprop(*pairs[0]), oracle.backprop(*pairs[0]), strict=True):
        same(found, wanted)
    rng = copy.deepcopy(net.network.rng)
    net.SGD(pairs, 1, 5, 0.5)
    order = rng.permutation(12)
    for k in range(0, 12, 5):
        oracle.update_mini_batch([pairs[i] for i in order[k : k + 5]], 0.5)
    same(net.weights, oracle.weights)
    same(net.biases, oracle.biases)
    assert capsys.readouterr().out == "Epoch 0 complete\n"


def test_methods_of_one_s_own(capsys):
    class Mine(book.Network):
        steps = 0

        def update_mini_batch(self, mini_batch, eta):
            self.steps += 1
            super().update_mini_batch(mini_batch, eta)

        def evaluate(self, test_data):
            return -len(test_data)

    mine, net, pairs = Mine(SIZES, seed=3), book.Network(SIZES, seed=3), examples(12)
    mine.SGD(pairs, 2, 5, 3.0, test_data=[(x, 0) for x, _ in pairs])
    assert capsys.readouterr().out == "Epoch 0: -12 / 12\nEpoch 1: -12 / 12\n"
    net.SGD(pairs, 2, 5, 3.0)
    same(mine.weights, net.weights)
    assert mine.steps == 6


# --------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda net, x, y: net.SGD([], 1, 1, 1.0), "training_data must hold examples (x, y)"),
        (lambda net, x, y: net.SGD([(x, y, y)], 1, 1, 1.0), "training_data must hold pairs"),
        (lambda net, x, y: net.SGD([(x, y)], -1, 1, 1.0), "epochs must be"),
        (lambda net, x, y: net.SGD([(x, y)], 1, 0, 1.0), "mini_batch_size must be"),
        (lambda net, x, y: net.SGD([(x, y)], 1, 1, float("nan")), "learning_rate"),
        (
            lambda net, x, y: net.SGD([(x, y), (x[:, 0], y)], 1, 1, 1.0),
            "the x of training_data must be columns (7, 1); number 1 has shape (7,)",
        ),
        (
            lambda net, x, y: net.SGD([(x, 3)], 1, 1, 1.0),
            "the y of training_data must be columns (3, 1); number 0 has shape ()",
        ),
        (
            lambda net, x, y: net.SGD([(x, y)], 1, 1, 1.0, test_data=[(x.T, 1)]),
            "the x of test_data must be columns (7, 1); number 0 has shape (1, 7)",
        ),
        (lambda net, x, y: net.update_mini_batch([], 1.0), "mini_batch must hold examples"),
        (lambda net, x, y: net.backprop(x[1:], y), "the x of (x, y) must be columns (7, 1)"),
        (lambda net, x, y: net.feedforward(x[:, 0]), "a must be a column (7, 1); got shape (7,)"),
        (lambda net, x, y: net.feedforward(x * np.nan), "finite"),
        (lambda net, x, y: book.Network([3]), "sizes"),
    ],
)
def test_bad_input(net, capsys, call, says):
    before = net.network.parameters.copy()
    with pytest.raises(ValueError) as caught:
        call(net, *examples(1)[0])
    assert says in str(caught.value)
    np.testing.assert_array_equal(net.network.parameters, before)
    assert capsys.readouterr().out == ""


# ---------------------------------------------------------------------------------- the data


def test_the_embedded_digits_in_the_book_s_form(capsys):
    training_data, validation_data, test_data = book.load_data_wrapper("digits")
    assert [len(part) for part in (training_data, validation_data, test_data)] == [1199, 239, 359]
    x, y = training_data[0]
    assert x.shape == (64, 1) and x.dtype == np.float32 and x.min() >= 0 and x.max() <= 1
    assert y.shape == (10, 1) and y.sum() == 1
    digits = fastgd.data.split(fastgd.data.load("digits"), seed=0)
    assert [np.argmax(y) for _, y in training_data] == digits.y[:1199].tolist()
    assert [digit for _, digit in validation_data] == digits.y[1199:].tolist()
    assert [digit for _, digit in test_data] == digits.y_test.tolist()

    net = book.Network([64, 30, 10], seed=1)
    net.SGD(training_data, 30, 10, 3.0, test_data=test_data)
    lines = capsys.readouterr().out.splitlines()
    right = [int(line.split()[2]) for line in lines]
    assert lines == [f"Epoch {i}: {n} / 359" for i, n in enumerate(right)] and len(lines) == 30
    assert right[-1] >= 0.9 * 359 and right[-1] == net.evaluate(test_data)
    assert net.evaluate(training_data) >= 0.95 * len(training_data)


@pytest.mark.slow
def test_chapter_1_on_mnist(mnist_folder, capsys):
    training_data, validation_data, test_data = book.load_data_wrapper(mnist_folder)
    assert [len(part) for part in (training_data, validation_data, test_data)] == [
        50_000, 10_000, 10_000,
    ]  # fmt: skip
    x, y = training_data[0]
    assert x.shape == (784, 1) and x.max() == np.float32(255 / 256) and y.argmax() == 5
    assert [int(digit) for _, digit in validation_data[:4]] == [3, 8, 6, 9]
    assert [int(digit) for _, digit in test_data[:4]] == [7, 2, 1, 0]
    net = book.Network([784, 30, 10], seed=1)
    net.SGD(training_data, 3, 10, 3.0, test_data=test_data)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Epoch 0", "Epoch 1", "Epoch 2"]
    assert int(lines[-1].split()[2]) > 9200 and lines[-1].endswith(" / 10000")
    images, labels = book.load_data(mnist_folder)[2]
    assert images.shape == (10_000, 784) and labels[:4].tolist() == [7, 2, 1, 0]
    assert (net.feedforward(images.T).argmax(axis=0) == labels).sum() == int(lines[-1].split()[2])


def test_data_that_are_no_images(save, refusal):
    table = save("a,b,y\n" + "1,2,x\n3,4,z\n" * 4, "table.csv")
    assert "table.csv: holds no images of classes" in refusal(book.load_data, table)
    with pytest.raises(DataError, match="no such file"):
        book.load_data_wrapper("nowhere")
