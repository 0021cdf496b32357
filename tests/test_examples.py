"""The examples run, say what is true, and make the pictures that the gallery shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastgd

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
NAMES = [example.stem.partition("_")[2] for example in EXAMPLES]
GALLERY = ROOT / "docs" / "gallery.md"

PNG = b"\x89PNG\r\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a function that runs an example once, in an empty folder: what it says, the folder."""
    done: dict[str, tuple[str, Path]] = {}

    def once(name: str) -> tuple[str, Path]:
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            done[name] = execute(name, folder), folder
        return done[name]

    return once


def execute(name: str, folder: Path, *arguments: str) -> str:
    tested = str(Path(fastgd.__file__).parent.parent)  # the same fastgd as in this process
    path = os.pathsep.join(filter(None, [tested, os.environ.get("PYTHONPATH")]))
    finished = subprocess.run(
        [sys.executable, str(EXAMPLES[NAMES.index(name)]), *arguments],
        cwd=folder, env={**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": path},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert not finished.stderr, "no warnings"
    return finished.stdout


def number(pattern: str, said: str) -> float:
    """Return the number that stands in a pattern's group."""
    found = re.search(pattern, said)
    assert found, f"{pattern!r} is not in:\n{said}"
    return float(found[1].replace(",", ""))


def test_there_are_eight_and_they_are_short():
    assert [int(example.name[:2]) for example in EXAMPLES] == list(range(1, 9))
    for example in EXAMPLES:
        text = example.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 40
        assert text.startswith('"""') and f"python {example.name}" in text


@pytest.mark.parametrize("name", NAMES)
def test_it_draws_its_one_picture_and_says_numbers(run, name):
    said, folder = run(name)
    assert [path.name for path in folder.iterdir()] == [f"{name}.png"]
    assert (folder / f"{name}.png").read_bytes().startswith(PNG)
    assert len(said.splitlines()) >= 3 and re.search(r"\d", said)


def test_the_picture_goes_where_it_is_told_and_is_the_same_again(run, tmp_path):
    said, folder = run("one_update")
    assert execute("one_update", tmp_path, "here.png") == said
    assert [path.name for path in tmp_path.iterdir()] == ["here.png"]
    assert (tmp_path / "here.png").read_bytes() == (folder / "one_update.png").read_bytes()


def test_one_weight(run):
    said, _ = run("one_weight")
    w, table = 0.0, said.split("\n\n")[0].splitlines()[2:]
    for line in table:
        assert float(line.split()[1]) == pytest.approx(w, rel=1e-4)
        w -= 0.1 * 2 * (w - 3)
    assert len(table) == 13
    for rate, verdict in {
        0.01: "too slow", 0.1: "converging", 0.9: "overshooting", 1.1: "diverging",
    }.items():  # fmt: skip
        end = 3 - 3 * (1 - 2 * rate) ** 20
        found = number(rf"rate {rate} +w = +(\S+) +{verdict}", said)
        assert found == pytest.approx(end, abs=1e-3)


def test_one_update(run):
    said, _ = run("one_update")
    assert "2 x (6 - 10)" in said and "slope -24, new weight 2.24" in said
    first, second = re.findall(
        r"Multiplied: dC/dw = (.+) = (\S+) \(the kernel.* says (\S+)\)", said
    )
    assert first[1:] == ("-24", "-24") and second[1] == second[2]
    product = 1.0
    for factor in second[0].split(" x "):
        product *= float(factor)
    assert product == pytest.approx(float(second[1]), rel=1e-3) and product != 0


def test_nudges(run):
    said, _ = run("nudges")
    n = 64 * 16 + 16 + 16 * 16 + 16 + 16 * 10 + 10
    assert said.startswith(f"64-16-16-10: {n:,} weights and biases\n")
    counts = re.search(r"  a lot.*?not at all +\d+", said, re.DOTALL)
    assert sum(int(count) for count in re.findall(r"\d+", counts[0])) == n
    # The smallest step keeps the promise, the largest does not.
    table = said.split("true part\n")[1].splitlines()
    shares = [float(line.split()[-1].rstrip("%")) for line in table]
    assert shares[0] == pytest.approx(100, abs=0.5) and shares[-1] < 50


def test_nudges_of_mnist(tmp_path):
    """The 13,002 of the videos, on a folder of MNIST's files (here with noise in them)."""
    import numpy as np

    from fastgd.data.fetch import MNIST

    rng = np.random.default_rng(0)
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name in MNIST:
        n = 50 if name.startswith("train") else 20
        images = "idx3" in name
        shape = (n, 28, 28) if images else (n,)
        values = rng.integers(0, 256 if images else 10, shape).astype(np.uint8)
        head = bytes([0, 0, 8, len(shape)]) + np.array(shape, dtype=">u4").tobytes()
        (folder / name.removesuffix(".gz")).write_bytes(head + values.tobytes())
    said = execute("nudges", tmp_path, "nudges.png", "mnist")
    assert said.startswith("784-16-16-10: 13,002 weights and biases\n")


def test_landscape(run):
    said, _ = run("landscape")
    end = number(r"cost \S+ to (\S+);", said)
    assert number(r"centre +cost (\S+)", said) == pytest.approx(end, rel=1e-3)
    assert number(r"lowest +cost (\S+)", said) <= end < number(r"highest +cost (\S+)", said)


def test_walk(run):
    said, _ = run("walk")
    names = {"full batch": 20, "mini-batches of 10": 200, "single examples": 2000}
    for name, steps in names.items():
        assert number(rf"{name} +(\S+)", said) == steps
    costs = [number(rf"{name} +\S+ +(\S+)", said) for name in names]
    assert costs == sorted(costs, reverse=True), "more steps, a lower cost"


def test_learning_rate(run):
    said, _ = run("learning_rate")
    stable = number(r"largest stable rate: (\S+)", said)
    suggested = number(r"suggested learning rate: ([\d.e-]+)", said)
    assert suggested < stable
    scores = [float(score) for score in re.findall(r"rate .*: (\S+)% of unseen", said)]
    assert scores[1] > 90 and scores[1] == max(scores)


def test_starts(run):
    said, _ = run("starts")
    for name, distinct in {"zero": 1, r"constant \(0.1\)": 1, "random": 30}.items():
        assert number(rf"{name} .* (\d+) of 30", said) == distinct
    pairs = dict(re.findall(r"(\w+) +two units' weights for one pixel: +(\S+ +\S+)", said))
    for name, pair in pairs.items():
        first, second = map(float, pair.split())
        assert (first == second) == (name != "random")
    assert len(pairs) == 3


def test_look_inside(run):
    said, _ = run("look_inside")
    assert number(r"(\S+)% of unseen digits right", said) > 90
    winner = number(r"the network says (\d)", said)
    outputs = {int(k): float(a) for k, a in re.findall(r"^(\d)  +(\S+)", said, re.MULTILINE)}
    assert sorted(outputs) == list(range(10))
    assert max(outputs, key=outputs.get) == winner


def test_the_gallery_names_every_example_and_only_pictures_that_exist():
    text = GALLERY.read_text(encoding="utf-8")
    pictures = re.findall(r"!\[.+\]\((.+)\)", text)
    for example, name in zip(EXAMPLES, NAMES, strict=True):
        assert f"examples/{example.name}" in text
        assert f"gallery/{name}.png" in pictures
    assert len(pictures) == len(set(pictures))
    missing = [path for path in pictures if not (GALLERY.parent / path).is_file()]
    assert not missing
    kept = {f"gallery/{path.name}" for path in (GALLERY.parent / "gallery").iterdir()}
    assert kept == set(pictures), "no picture that is not shown"


def test_the_gallery_shows_every_picture_of_the_command_line():
    from fastgd.cli.show import PICTURES

    named = set(re.findall(r"fastgd show ([a-z-]+)", GALLERY.read_text(encoding="utf-8")))
    assert named == set(PICTURES)


def test_the_gallery_is_small():
    pictures = list((GALLERY.parent / "gallery").glob("*.png"))
    assert sum(path.stat().st_size for path in pictures) < 1_500_000
    assert (GALLERY.parent / "gallery" / "training.gif").stat().st_size < 2_000_000
