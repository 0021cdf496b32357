"""A network in a table: layers, shapes and parameters."""

from __future__ import annotations

from dataclasses import dataclass

from fastgd.engine.architecture import Architecture
from fastgd.engine.scaling import scaling_words

__all__ = ["Layer", "Summary"]


@dataclass(frozen=True)
class Layer:
    """One layer: what it is made of."""

    name: str
    n_units: int
    activation: str
    weights: tuple[int, int]
    n_parameters: int
    dropout: float = 0.0


@dataclass(frozen=True)
class Summary:
    """A table of a network's layers. Print it."""

    layers: list[Layer]
    n_inputs: int
    loss: str
    dtype: str
    scaling: str = ""

    @classmethod
    def of(cls, architecture: Architecture) -> Summary:
        """Return the summary of an architecture."""
        last = len(architecture.rules)
        shares = [*architecture.dropout[1:], 0.0]
        layers = [
            Layer(
                name="output" if i == last else f"hidden {i}",
                n_units=n_out,
                activation=str(rule),
                weights=(n_in, n_out),
                n_parameters=(n_in + 1) * n_out,
                dropout=share,
            )
            for i, ((n_in, n_out), rule, share) in enumerate(
                zip(architecture.layout.shapes, architecture.rules, shares, strict=True), 1
            )
        ]
        return cls(
            layers, architecture.n_inputs, str(architecture.loss), architecture.dtype,
            ", ".join(scaling_words(architecture)),
        )  # fmt: skip

    @property
    def n_parameters(self) -> int:
        """How many weights and biases there are."""
        return sum(layer.n_parameters for layer in self.layers)

    def __str__(self) -> str:
        dropout = any(layer.dropout for layer in self.layers)
        rows = [["layer", "units", "activation", "weights", "biases", "parameters"]]
        rows += [["inputs", f"{self.n_inputs:,}", "", "", "", ""]]
        for layer in self.layers:
            n_in, n_out = layer.weights
            rows.append([
                layer.name, f"{layer.n_units:,}", layer.activation, f"{n_in:,} x {n_out:,}",
                f"{n_out:,}", f"{layer.n_parameters:,}",
            ])  # fmt: skip
        rows.append(["in all", "", "", "", "", f"{self.n_parameters:,}"])
        if dropout:
            shares = ["dropout", "", *(f"{layer.dropout:g}" for layer in self.layers), ""]
            rows = [[*row, share] for row, share in zip(rows, shares, strict=True)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        text = (0, 2)  # columns of words are on the left
        lines = [
            "  ".join(
                f"{cell:<{width}}" if i in text else f"{cell:>{width}}"
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        lines.append(f"loss {self.loss}, {self.dtype}")
        return "\n".join([*lines, self.scaling] if self.scaling else lines)
