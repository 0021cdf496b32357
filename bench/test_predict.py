"""Time of one prediction of 784-30-10, for one row and for 10,000, through each tool's Python face.

    pytest bench/test_predict.py --benchmark-columns=min,median --benchmark-sort=min

One core. Every tool has the same parameters, takes a NumPy array and gives one back, and must give
what NumPy gives. On a machine with other work, ``--benchmark-timer=time.process_time`` leaves that
work out. What is not installed is skipped by name (``pip install ".[bench]"`` brings it).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest

from fastgd.backends import BACKENDS, why_not
from fastgd.benchmarks.rivals import FUNCTIONS
from fastgd.benchmarks.timing import limit_threads
from fastgd.benchmarks.workloads import WORKLOADS, Parameters, initial_parameters, load_data
from fastgd.network import Network

Array = np.ndarray
Predict = Callable[[Array], Array]

WORKLOAD = WORKLOADS["nielsen"]
ROWS = (1, 10_000)


@lru_cache(maxsize=1)
def images() -> Array:
    return load_data(WORKLOAD)[0][: max(ROWS)].copy()


def with_fastgd(backend: str, parameters: Parameters) -> Predict:
    net = Network(WORKLOAD.sizes, output="softmax", loss="cross_entropy", backend=backend)
    net.parameters = np.concatenate([p.ravel() for layer in parameters for p in layer])
    return net.predict


def with_numpy(parameters: Parameters) -> Predict:
    (W1, b1), (W2, b2) = parameters
    sigmoid, softmax = FUNCTIONS["sigmoid"], FUNCTIONS["softmax"]
    return lambda X: softmax(np.dot(sigmoid(np.dot(X, W1) + b1), W2) + b2)


def with_torch(parameters: Parameters) -> Predict:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    (W1, b1), (W2, b2) = [(torch.from_numpy(W), torch.from_numpy(b)) for W, b in parameters]

    def predict(X: Array) -> Array:
        with torch.inference_mode():
            a = torch.sigmoid(torch.addmm(b1, torch.from_numpy(X), W1))
            return torch.softmax(torch.addmm(b2, a, W2), 1).numpy()

    return predict


def with_sklearn(parameters: Parameters) -> Predict:
    MLPClassifier = pytest.importorskip("sklearn.neural_network").MLPClassifier
    classes = np.arange(WORKLOAD.sizes[-1])
    model = MLPClassifier(WORKLOAD.sizes[1:-1], activation="logistic", solver="sgd")
    # A first step builds what is then replaced.
    model.partial_fit(images()[: len(classes)], classes, classes=classes)
    model.coefs_, model.intercepts_ = map(list, zip(*parameters, strict=True))
    return model.predict_proba


def with_onnxruntime(parameters: Parameters) -> Predict:
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    make = onnx.helper
    (W1, b1), (W2, b2) = parameters
    arrays = {"W1": W1, "b1": b1, "W2": W2, "b2": b2}
    graph = make.make_graph(
        [
            make.make_node("Gemm", ["X", "W1", "b1"], ["z1"]),
            make.make_node("Sigmoid", ["z1"], ["a1"]),
            make.make_node("Gemm", ["a1", "W2", "b2"], ["z2"]),
            make.make_node("Softmax", ["z2"], ["out"], axis=1),
        ],
        "mlp",
        [make.make_tensor_value_info("X", onnx.TensorProto.FLOAT, ["n", WORKLOAD.sizes[0]])],
        [make.make_tensor_value_info("out", onnx.TensorProto.FLOAT, ["n", WORKLOAD.sizes[-1]])],
        [onnx.numpy_helper.from_array(p, name) for name, p in arrays.items()],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda X: session.run(None, {"X": X})[0]


RIVALS = {
    "numpy": with_numpy,
    "torch": with_torch,
    "sklearn": with_sklearn,
    "onnxruntime": with_onnxruntime,
}


def predictor(contestant: str, parameters: Parameters) -> Predict:
    """Return the prediction of a contestant, or skip the test where it is not installed."""
    if contestant in RIVALS:
        return RIVALS[contestant](parameters)
    backend = contestant.removeprefix("fastgd-")
    if reason := why_not(backend):
        pytest.skip(f"{contestant}: {reason}")
    return with_fastgd(backend, parameters)


@pytest.mark.benchmark(max_time=0.5, warmup=True, warmup_iterations=10)
@pytest.mark.parametrize("contestant", [*(f"fastgd-{name}" for name in BACKENDS), *RIVALS])
@pytest.mark.parametrize("n_rows", ROWS)
def test_predict(benchmark, n_rows: int, contestant: str) -> None:
    parameters = initial_parameters(WORKLOAD, seed=0)
    predict, X = predictor(contestant, parameters), images()[:n_rows]
    benchmark.group = f"predict {n_rows:,} row{'s' * (n_rows > 1)} of 784-30-10, float32"
    with limit_threads(1):
        outputs = benchmark(predict, X)
    np.testing.assert_allclose(outputs, with_numpy(parameters)(X), rtol=1e-4, atol=1e-6)
