"""Networks as safetensors files: one tensor for each layer's weights and biases, rules beside them.

Any safetensors reader finds ``weights.0``, ``biases.0``, ...; the metadata's ``fastgd`` entry is
JSON with the architecture. Same network, same bytes.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fastgd.engine.architecture import Architecture
from fastgd.engine.labels import NO_LABELS, Labels, check_labels
from fastgd.engine.scaling import SCALINGS, Vector
from fastgd.errors import DataError, SettingError

__all__ = ["check_name", "read", "write", "write_whole"]

FORMAT = 1
#: What files of the first version do not have.
LATER = {"dropout", "input_shift", "output_shift", "output_scale"}
#: Endings that promise what a file of ours is not.
OTHERS = {
    ".csv", ".gz", ".h5", ".hdf5", ".joblib", ".json", ".keras", ".npy", ".npz", ".onnx",
    ".pickle", ".pkl", ".png", ".pt", ".pth", ".zip",
}  # fmt: skip


def write(
    path: str | os.PathLike[str],
    architecture: Architecture,
    parameters: np.ndarray,
    notes: dict[str, str],
    labels: Labels = NO_LABELS,
) -> None:
    """Write a network to ``path``, through a temporary file: whole or not at all.

    Raises
    ------
    OSError
        If the file cannot be written; what was there before is still there.
    """
    from safetensors.numpy import save as serialize

    layout, tensors = architecture.layout, {}
    layers = zip(layout.weights(parameters), layout.biases(parameters), strict=True)
    for layer, (W, b) in enumerate(layers):
        tensors[f"weights.{layer}"], tensors[f"biases.{layer}"] = W, b
    spec = architecture.spec()
    for name in SCALINGS:  # a column each is a tensor, exact
        if isinstance(getattr(architecture, name), Vector):
            tensors[name] = np.array(getattr(architecture, name))
            del spec[name]
    header: dict[str, Any] = {"format": FORMAT, "architecture": spec, "notes": notes}
    if labels.values is not None:
        header["classes"] = labels.values.tolist()
    write_whole(path, serialize(tensors, {"fastgd": json.dumps(header, sort_keys=True)}))


def check_name(path: str | os.PathLike[str]) -> None:
    """Refuse a file name that promises another format than it would have."""
    ending = Path(path).suffix.lower()
    if ending in OTHERS:
        pickled = ending in (".pkl", ".pickle", ".joblib")
        other = "; pickle.dump(network, file) makes a pickle" if pickled else ""
        raise SettingError(
            "path", f"must end in .safetensors, which is what is written; got {path}{other}"
        )


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write bytes to a file, whole or not at all."""
    target = Path(os.path.realpath(path))  # a link stays one
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; name a file in it")
    if target.exists() and not target.is_file():
        raise OSError(f"{target} is not a regular file; name another")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder {target.parent} does not exist")
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".fastgd-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read(
    path: str | os.PathLike[str],
) -> tuple[Architecture, np.ndarray, dict[str, str], Labels]:
    """Return the architecture, parameters, notes and labels that `write` wrote."""
    tensors, header = _read(Path(path))
    try:
        fields = dict(header["architecture"])
        fields |= {name: tensors[name] for name in SCALINGS if name in tensors}
        known = {field.name for field in dataclasses.fields(Architecture)}
        missing = known - fields.keys() - LATER
        if missing:
            raise ValueError(f"{', '.join(sorted(missing))} is missing")
        architecture = Architecture(**{**fields, "sizes": tuple(fields["sizes"])})
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a network this version can read: {error}") from None
    notes = header.get("notes", {})
    if not isinstance(notes, dict) or not all(isinstance(note, str) for note in notes.values()):
        raise DataError(f"{path}: its notes must be texts by name; got {notes!r}")
    labels = _read_labels(path, header, architecture)
    _check_tensors(path, tensors, architecture)
    layout = architecture.layout
    parameters = np.empty(layout.n_parameters, dtype=architecture.dtype)
    layers = zip(layout.weights(parameters), layout.biases(parameters), strict=True)
    for layer, (W, b) in enumerate(layers):
        W[:], b[:] = tensors[f"weights.{layer}"], tensors[f"biases.{layer}"]
    return architecture, parameters, notes, labels


def _read_labels(path: object, header: dict[str, Any], architecture: Architecture) -> Labels:
    """Return what the classes are called; files of the first version have it in their notes."""
    try:
        if "classes" in header:
            return check_labels(header["classes"], architecture.n_classes)
        names = header.get("notes", {}).get("class_names")
        if names is not None and architecture.classifies:
            names = list(map(str, json.loads(names)))
            if names != list(map(str, range(architecture.n_classes))):
                return check_labels(names, architecture.n_classes)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: its classes cannot be read: {error}") from None
    return NO_LABELS


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a model file")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a safetensors file, or damaged: {error}") from None
    try:
        header = json.loads(metadata["fastgd"])
    except (KeyError, ValueError):
        raise DataError(f"{path}: a safetensors file, but not a network fastgd wrote") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DataError(f"{path}: written by a newer fastgd; this version reads format {FORMAT}")
    return tensors, header


def _check_tensors(
    path: object, tensors: dict[str, np.ndarray], architecture: Architecture
) -> None:
    """Raise unless the tensors are those of the architecture, before room is made for it."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (n_in, n_out) in enumerate(architecture.layout.shapes):
        shapes[f"weights.{layer}"], shapes[f"biases.{layer}"] = (n_in, n_out), (n_out,)
    shapes |= {name: tensors[name].shape for name in SCALINGS if name in tensors}
    for name, shape in shapes.items():
        tensor = tensors.get(name)
        if tensor is None:
            raise DataError(f"{path}: tensor {name} is missing")
        dtype = "float64" if name in SCALINGS else architecture.dtype
        if tensor.shape != shape or tensor.dtype.name != dtype:
            raise DataError(
                f"{path}: tensor {name} must be {dtype} {shape}; "
                f"it is {tensor.dtype} {tensor.shape}"
            )
        if not np.isfinite(tensor).all():
            raise DataError(f"{path}: tensor {name} holds NaN or infinity")
    extra = tensors.keys() - shapes.keys()
    if extra:
        raise DataError(f"{path}: tensor {min(extra)} is not part of the network it describes")
