"""How each rival predicts: an array goes in through its Python face, and one comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fastgd.benchmarks.trainers import FUNCTIONS, SklearnTrainer, Trainer, jax_forward

__all__ = [
    "JaxPredictor",
    "NumpyPredictor",
    "OnnxPredictor",
    "Predictor",
    "ScipyPredictor",
    "SklearnPredictor",
    "SklearnSparsePredictor",
    "TorchPredictor",
]

Array = np.ndarray


class Predictor(Trainer):
    """One rival, ready to predict the workload's rows with the parameters of its start."""

    def set_up(self) -> None:
        self.rows = self.form(self.X[: self.batch_size])
        self.predict = self.predictor()

    def form(self, X: Array) -> Any:
        """Return the rows as they are handed over; not timed."""
        return X

    def predictor(self) -> Callable[[Any], Array]:
        """Return what takes rows and gives outputs (n_rows, n_out), as a NumPy array."""
        raise NotImplementedError

    def warm_up(self, order: Array | None = None) -> None:
        """Predict a few times."""
        for _ in range(3):
            self.predict(self.rows)

    def run(self, order: Array) -> Any:
        """Predict once for each mini-batch of the order, the same rows; return the outputs."""
        predict, rows = self.predict, self.rows
        for _ in range(len(order) // self.batch_size):
            outputs = predict(rows)
        return outputs


class NumpyPredictor(Predictor):
    """Matrix products and whole-array functions."""

    def predictor(self) -> Callable[[Any], Array]:
        activation = FUNCTIONS[self.workload.activation]
        output = FUNCTIONS[self.workload.output]
        (W_in, b_in), *others = self.parameters

        def predict(X: Any) -> Array:
            z = X @ W_in + b_in
            for W, b in others:
                z = np.dot(activation(z), W) + b
            return output(z)

        return predict


class ScipyPredictor(NumpyPredictor):
    """The same on a CSR matrix."""

    def form(self, X: Array) -> Any:
        import scipy.sparse

        return scipy.sparse.csr_array(X)


class SklearnPredictor(Predictor):
    """``predict_proba`` of a classifier, ``predict`` of a regressor."""

    def predictor(self) -> Callable[[Any], Array]:
        # Enough rows for a first step, which builds what `restart` then fills.
        m, n_out = max(2, self.workload.sizes[-1]), self.workload.sizes[-1]
        X = np.resize(self.X, (m, self.X.shape[1]))
        y = np.arange(m) if self.y.ndim == 1 else np.zeros((m, n_out), self.y.dtype)
        workload = replace(self.workload, batch_size=m, learning_rate=1.0)
        trainer = SklearnTrainer(workload, X, y, self.parameters)
        trainer.restart()
        model = trainer.model
        return model.predict_proba if self.y.ndim == 1 else model.predict


class SklearnSparsePredictor(SklearnPredictor):
    """The same on a CSR matrix."""

    def form(self, X: Array) -> Any:
        import scipy.sparse

        return scipy.sparse.csr_array(X)


class TorchPredictor(Predictor):
    """Eager PyTorch in inference mode."""

    def predictor(self) -> Callable[[Any], Array]:
        import torch

        torch.set_num_threads(self.threads)
        named = {
            "sigmoid": torch.sigmoid,
            "relu": torch.relu,
            "softmax": lambda z: torch.softmax(z, 1),
            "identity": lambda z: z,
        }
        activation, output = named[self.workload.activation], named[self.workload.output]
        layers = [(torch.from_numpy(W), torch.from_numpy(b)) for W, b in self.parameters]
        hidden, (W_out, b_out) = layers[:-1], layers[-1]

        def predict(X: Array) -> Array:
            with torch.inference_mode():
                a = torch.from_numpy(X)
                for W, b in hidden:
                    a = activation(torch.addmm(b, a, W))
                return output(torch.addmm(b_out, a, W_out)).numpy()

        return predict


class JaxPredictor(Predictor):
    """One compiled function of the rows.

    Rows that begin at a multiple of 64 bytes are read where they lie; others it copies, which
    takes 40 % of the time of 10,000.
    """

    def form(self, X: Array) -> Any:
        memory = np.empty(X.nbytes + 64, np.uint8)
        start = -memory.ctypes.data % 64
        rows = memory[start : start + X.nbytes].view(X.dtype).reshape(X.shape)
        rows[:] = X
        return rows

    def predictor(self) -> Callable[[Any], Array]:
        import jax

        jax.config.update("jax_enable_x64", self.workload.dtype == "float64")
        forward = jax_forward(self.workload)
        parameters = jax.tree.map(jax.numpy.asarray, self.parameters)
        named = {"sigmoid": jax.nn.sigmoid, "softmax": jax.nn.softmax}
        output = named.get(self.workload.output, lambda z: z)
        compiled = jax.jit(lambda X: output(forward(parameters, X)))
        return lambda X: np.asarray(compiled(X))


class OnnxPredictor(Predictor):
    """ONNX Runtime: Gemm and the rules, as a graph."""

    def predictor(self) -> Callable[[Any], Array]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            self.graph(), options, providers=["CPUExecutionProvider"]
        )
        return lambda X: session.run(None, {"a0": X})[0]

    def graph(self) -> bytes:
        """Return the network as an ONNX model."""
        from onnx import helper, numpy_helper

        named = {"sigmoid": "Sigmoid", "relu": "Relu", "softmax": "Softmax"}
        nodes, arrays = [], []
        for i, (W, b) in enumerate(self.parameters, 1):
            last = i == len(self.parameters)
            rule = self.workload.output if last else self.workload.activation
            names = [f"a{i - 1}", f"W{i}", f"b{i}"]
            nodes.append(helper.make_node("Gemm", names, [f"z{i}"]))
            nodes.append(helper.make_node(named.get(rule, "Identity"), [f"z{i}"], [f"a{i}"]))
            arrays += [numpy_helper.from_array(W, f"W{i}"), numpy_helper.from_array(b, f"b{i}")]
        kind = helper.np_dtype_to_tensor_dtype(self.X.dtype)
        sizes = self.workload.sizes
        graph = helper.make_graph(
            nodes,
            "mlp",
            [helper.make_tensor_value_info("a0", kind, ["n", sizes[0]])],
            [helper.make_tensor_value_info(f"a{len(sizes) - 1}", kind, ["n", sizes[-1]])],
            arrays,
        )
        opset = helper.make_opsetid("", 17)
        return helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()
