"""What a model file remembers of the data it was trained on: texts by name, in ``network.notes``.

``data``, ``data_crc32``
    The name of the data, and a checksum of its rows.
``task``
    ``classification`` or ``regression``.
``columns``, ``target``
    What is done to a table's columns, and what is learned; JSON of `fastgd.tables`.
``feature_names``, ``class_names``
    The name of each input and the label of each class, as JSON.
``seed``, ``holdout``
    How rows were held out of training; ``holdout`` is 0 where none were, and absent where the
    data has a test part of its own.
"""

from __future__ import annotations

import json
import zlib

import numpy as np

from fastgd.data.dataset import Dataset

__all__ = ["checksum", "class_names", "notes_for"]


def notes_for(dataset: Dataset, seed: int, holdout: float | None) -> dict[str, str]:
    """Return the notes for a network trained on a dataset."""
    notes = {
        "data": dataset.name,
        "data_crc32": checksum(dataset),
        "task": "classification" if dataset.is_classification else "regression",
        "seed": str(seed),
    }
    if holdout is not None:
        notes["holdout"] = str(holdout)
    if dataset.columns is not None and dataset.target is not None:
        notes["columns"] = dataset.columns.to_json()
        notes["target"] = dataset.target.to_json()
    if dataset.feature_names is not None:
        notes["feature_names"] = json.dumps(dataset.feature_names, ensure_ascii=False)
    if dataset.n_classes is not None:
        notes["class_names"] = json.dumps(class_names(dataset), ensure_ascii=False)
    return notes


def class_names(dataset: Dataset) -> tuple[str, ...]:
    """Return the label of each class; 0, 1, ... where the data has no other."""
    return dataset.class_names or tuple(map(str, range(dataset.n_classes or 0)))


def checksum(dataset: Dataset) -> str:
    """Return the CRC-32 of a table's file, else of the rows: are two datasets the same?"""
    if dataset.checksum:
        return dataset.checksum
    crc = zlib.crc32(np.ascontiguousarray(dataset.X).data)
    if dataset.y is not None:
        crc = zlib.crc32(np.ascontiguousarray(dataset.y).data, crc)
    return f"{crc:08x}"
