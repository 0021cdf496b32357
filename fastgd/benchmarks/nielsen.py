"""Nielsen's algorithm: one example at a time, as chapter 1 of his book teaches it.

Michael Nielsen, Neural Networks and Deep Learning (2015), http://neuralnetworksanddeeplearning.com.
Written afresh from the book's equations, with its names: examples are column vectors, weights[l] is
(n_out, n_in), and the gradients of a mini-batch are summed example by example. It is slow, and it
is where most people start. Two rules beyond the book's own network: relu, and softmax outputs
with the log-likelihood cost (his chapter 3). Products are np.dot, as in the book: matmul takes
eight times as long for a column times a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

__all__ = ["Network"]

Array = np.ndarray
Example = tuple[Array, Array]


class Network:
    """A network of sigmoid or relu neurons, trained by stochastic gradient descent.

    Parameters
    ----------
    biases, weights : list of arrays
        Per layer (n_out, 1) and (n_out, n_in). A step makes new arrays; these stay as they are.
    activation : {"sigmoid", "relu"}
        Of the hidden layers.
    output : {"sigmoid", "softmax", "identity"}
        Of the last layer; softmax goes with the log-likelihood cost, the others with the
        quadratic one.

    Examples
    --------
    >>> net = Network([np.zeros((1, 1))], [np.zeros((1, 2))], "sigmoid", "sigmoid")
    >>> x, y = np.array([[1.0], [0.0]]), np.array([[1.0]])
    >>> net.update_mini_batch([(x, y)], eta=8.0)
    >>> net.weights[0]
    array([[1., 0.]])
    """

    def __init__(
        self, biases: Sequence[Array], weights: Sequence[Array], activation: str, output: str
    ):
        self.biases = list(biases)
        self.weights = list(weights)
        self.activation = activation
        self.output = output

    def sgd(self, mini_batches: Iterable[Sequence[Example]], eta: float) -> None:
        """Train on each mini-batch in turn, with learning rate eta."""
        for mini_batch in mini_batches:
            self.update_mini_batch(mini_batch, eta)

    def update_mini_batch(self, mini_batch: Sequence[Example], eta: float) -> None:
        """Take one step of gradient descent on a list of (x, y) (eqs. 20 and 21)."""
        nabla_b = [np.zeros_like(b) for b in self.biases]
        nabla_w = [np.zeros_like(w) for w in self.weights]
        for x, y in mini_batch:
            delta_b, delta_w = self.backprop(x, y)
            nabla_b = [total + new for total, new in zip(nabla_b, delta_b, strict=True)]
            nabla_w = [total + new for total, new in zip(nabla_w, delta_w, strict=True)]
        step = eta / len(mini_batch)
        self.biases = [b - step * nb for b, nb in zip(self.biases, nabla_b, strict=True)]
        self.weights = [w - step * nw for w, nw in zip(self.weights, nabla_w, strict=True)]

    def backprop(self, x: Array, y: Array) -> tuple[list[Array], list[Array]]:
        """Return one example's gradient, layer by layer (eqs. BP1 to BP4)."""
        a, activations = x, [x]
        zs: list[Array] = []
        for b, w in zip(self.biases, self.weights, strict=True):
            z = np.dot(w, a) + b
            name = self.output if len(zs) == len(self.weights) - 1 else self.activation
            a = FUNCTIONS[name](z)
            zs.append(z)
            activations.append(a)
        delta = activations[-1] - y
        if self.output != "softmax":  # there the slope cancels against the cost's
            delta = delta * SLOPES[self.output](zs[-1])
        nabla_b, nabla_w = [delta], [np.dot(delta, activations[-2].T)]
        for layer in range(len(self.weights) - 2, -1, -1):
            slope = SLOPES[self.activation](zs[layer])
            delta = np.dot(self.weights[layer + 1].T, delta) * slope
            nabla_b.insert(0, delta)
            nabla_w.insert(0, np.dot(delta, activations[layer].T))
        return nabla_b, nabla_w


def sigmoid(z: Array) -> Array:
    """1 / (1 + e^-z)."""
    return 1 / (1 + np.exp(-z))


def sigmoid_prime(z: Array) -> Array:
    """The sigmoid's derivative."""
    return sigmoid(z) * (1 - sigmoid(z))


def relu(z: Array) -> Array:
    """max(0, z)."""
    return np.maximum(z, 0)


def relu_prime(z: Array) -> Array:
    """The derivative of relu, 0 at 0."""
    return (z > 0).astype(z.dtype)


def softmax(z: Array) -> Array:
    """e^z over its sum, shifted so that it never overflows."""
    e = np.exp(z - z.max())
    return e / e.sum()


FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "sigmoid": sigmoid,
    "relu": relu,
    "softmax": softmax,
    "identity": lambda z: z,
}
SLOPES: dict[str, Callable[[Array], Array]] = {
    "sigmoid": sigmoid_prime,
    "relu": relu_prime,
    "identity": np.ones_like,
}
