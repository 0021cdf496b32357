"""The Python in README.md runs from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.slow

README = Path(__file__).resolve().parent.parent / "README.md"


def test_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) > 3
    names: dict[str, object] = {}
    for block in blocks:
        if "load_data_wrapper" in block:  # this one downloads MNIST
            block = block.replace("load_data_wrapper()", "load_data_wrapper('digits')")
            block = block.replace("784", "64").replace("30, 10, 3.0", "1, 10, 3.0")
        exec(block, names)
    assert (tmp_path / "weights.png").exists()
    assert "Epoch 0" in capsys.readouterr().out
