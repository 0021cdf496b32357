"""Networks as files: what `fastgd.storage` keeps, with the schema of docs/files.md.

The weights of layer i are ``layers.i.weight``, (n_out, n_in) as PyTorch has them, and its biases
``layers.i.bias``; shifts and scales of columns are arrays of their own. Everything else is JSON.
Same network, same bytes.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastgd import storage
from fastgd.engine.architecture import Architecture, check_size
from fastgd.engine.labels import NO_LABELS, Labels, check_labels
from fastgd.engine.scaling import SCALINGS, Vector
from fastgd.errors import ModelFileError, SettingError, SettingTypeError
from fastgd.storage import Kind, Tensor
from fastgd.writing import StrPath

__all__ = ["check_name", "read", "write"]

KIND = Kind("network", 2, 1, "a model file", "verify=False reads it all the same")
#: What a layer's arrays are called in each format, and whether its weights are (n_out, n_in).
LAYERS = {
    1: ("weights.{}", "biases.{}", False),
    2: ("layers.{}.weight", "layers.{}.bias", True),
}
#: Notes that are JSON themselves, and stand beside the others as such.
AS_JSON = ("columns", "target", "feature_names", "class_names")
#: What files of the first version do not have.
LATER = {"dropout", "input_shift", "output_shift", "output_scale"}
#: Endings that promise what a file of ours is not.
OTHERS = {
    ".csv", ".gz", ".h5", ".hdf5", ".joblib", ".json", ".keras", ".npy", ".npz", ".onnx",
    ".pickle", ".pkl", ".png", ".pt", ".pth", ".zip",
}  # fmt: skip


def write(
    path: StrPath,
    architecture: Architecture,
    parameters: np.ndarray,
    notes: dict[str, str],
    labels: Labels = NO_LABELS,
) -> None:
    """Write a network to ``path``, whole or not at all.

    Raises
    ------
    TypeError, ValueError
        If the notes are not texts by name.
    OSError
        If the file cannot be written; what was there before is still there.
    """
    rest = dict(sorted(_check_notes(notes).items()))
    arrays, spec = dict(_layers(architecture, parameters, KIND.format)), architecture.spec()
    for name in SCALINGS:  # a column each is an array, exact
        if isinstance(getattr(architecture, name), Vector):
            arrays[name] = np.array(getattr(architecture, name))
            del spec[name]
    said: dict[str, Any] = {"architecture": spec}
    if labels.values is not None:
        said["classes"] = labels.values.tolist()
    for name in AS_JSON:
        if name in rest and (value := _json_of(rest[name])) is not None:
            said[name] = value
            del rest[name]
    if "training" in rest:
        said["training"] = rest.pop("training")
    storage.write(path, KIND, {**said, "notes": rest}, arrays)


def check_name(path: StrPath) -> None:
    """Refuse a file name that promises another format than it would have."""
    if not isinstance(path, str | os.PathLike):
        raise SettingTypeError("path", f"must be a path; got {storage.brief(repr(path))}")
    ending = Path(path).suffix.lower()
    if ending in OTHERS:
        pickled = ending in (".pkl", ".pickle", ".joblib")
        other = "; pickle.dump(network, file) makes a pickle" if pickled else ""
        raise SettingError(
            "path", f"must end in .safetensors, which is what is written; got {path}{other}"
        )


def read(
    path: StrPath, *, verify: bool = True
) -> tuple[Architecture, np.ndarray, dict[str, str], Labels]:
    """Return the architecture, parameters, notes and labels that `write` wrote.

    Raises
    ------
    ModelFileError
        If the file is none of these, or damaged; see `fastgd.storage.read`.
    """
    said, arrays = storage.read(path, KIND, _expect, verify=verify)
    architecture: Architecture = said["architecture"]
    try:
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise ValueError(f"tensor {name} holds NaN or infinity")
        scalings: Any = {name: arrays[name] for name in SCALINGS if name in arrays}
        if scalings:
            architecture = dataclasses.replace(architecture, **scalings)
        labels = _labels(said, architecture)
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"{path}: {storage.brief(error)}") from None
    parameters = np.empty(architecture.layout.n_parameters, dtype=architecture.dtype)
    for name, part in _layers(architecture, parameters, said["format"]):
        part[...] = arrays[name]
    return architecture, parameters, said["notes"], labels


def _layers(
    architecture: Architecture, parameters: np.ndarray, version: int
) -> list[tuple[str, np.ndarray]]:
    """Return each layer's weights and biases, views, as they lie in files of a format."""
    weight, bias, transposed = LAYERS[version]
    layout, parts = architecture.layout, []
    layers = zip(layout.weights(parameters), layout.biases(parameters), strict=True)
    for i, (W, b) in enumerate(layers):
        parts += [(weight.format(i), W.T if transposed else W), (bias.format(i), b)]
    return parts


def _expect(said: dict[str, Any], names: Collection[str]) -> Mapping[str, Tensor]:
    """Return the arrays of the network a file describes, which replaces its description."""
    spec = dict(said["architecture"])
    known = {field.name for field in dataclasses.fields(Architecture)}
    scalings = [name for name in SCALINGS if name in names]
    missing = known - spec.keys() - LATER - set(scalings)
    if missing:
        raise ValueError(f"{', '.join(sorted(missing))} is missing")
    sizes = spec["sizes"]
    if not isinstance(sizes, list) or len(sizes) > len(names) + 2:
        raise ValueError(f"sizes do not go with {len(names)} tensors; got {sizes}")
    for name in scalings:
        spec[name] = SCALINGS[name]
    architecture = Architecture(**{**spec, "sizes": tuple(sizes)})
    check_size(architecture)
    notes = dict(_check_notes(said.get("notes", {})))
    for name in AS_JSON:
        if name in said:
            notes[name] = json.dumps(said[name], ensure_ascii=False)
    if "training" in said:
        notes["training"] = said["training"]
    said["notes"], said["architecture"] = _check_notes(notes), architecture
    weight, bias, transposed = LAYERS[said["format"]]
    expected = {}
    for i, (n_in, n_out) in enumerate(architecture.layout.shapes):
        shape = (n_out, n_in) if transposed else (n_in, n_out)
        expected[weight.format(i)] = Tensor(architecture.dtype, shape)
        expected[bias.format(i)] = Tensor(architecture.dtype, (n_out,))
    for name in scalings:
        n = architecture.n_inputs if name.startswith("input") else architecture.n_outputs
        expected[name] = Tensor("float64", (n,))
    return expected


def _labels(said: dict[str, Any], architecture: Architecture) -> Labels:
    """Return what the classes are called; files of the first version have it in their notes."""
    n = architecture.n_classes
    if "classes" in said:
        given = said["classes"]
        if not isinstance(given, list) or len(given) != n:
            raise ValueError(f"its classes must be a list of {n} labels; got {given}")
        return check_labels(given, n)
    names = said["notes"].get("class_names")
    if said["format"] == 1 and names is not None and architecture.classifies:
        names = list(map(str, storage.parse(names)))
        if names != list(map(str, range(n))):
            return check_labels(names, n)
    return NO_LABELS


def _check_notes(notes: Any) -> dict[str, str]:
    if isinstance(notes, dict) and all(
        isinstance(part, str) for note in notes.items() for part in note
    ):
        return notes
    raise SettingTypeError("notes", f"must be texts by name; got {storage.brief(notes)}")


def _json_of(text: str) -> Any:
    """Return what a text says as JSON, if the same text can be made of it again; else None."""
    try:
        value = storage.parse(text)
    except ValueError:
        return None
    return value if json.dumps(value, ensure_ascii=False) == text else None
