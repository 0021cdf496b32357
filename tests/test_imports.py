"""What imports what, what a process loads, and of what the compiled kernels' cache is made."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastgd
from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.losses import LOSS_NAMES, LOSSES
from fastgd.rules.optimizers import OPTIMIZERS

PACKAGE = Path(fastgd.__file__).parent
CSRC = PACKAGE.parent / "csrc"

#: The layers, innermost first: a module imports from its own layer and those before it.
LAYERS = (
    ["errors", "version", "writing", "looks", "regular", "visible", "storage", "rules"],
    ["engine"],
    ["backends", "kernels"],
    ["explain", "files", "checkpoint"],
    ["network", "lbfgs", "explaining", "recipe"],
)
#: Layers that need nothing but NumPy.
INNER = 3
OUTER_RING = len(LAYERS)  # everything else: files, data, benchmarks, cli, sklearn, plot, ...

#: Makes networks, by their settings: it stands above the network, as pictures do.
ABOVE = {"fastgd.explain.start"}

#: What the inner layers may import besides the standard library and fastgd.
THIRD_PARTY = {"numpy"}
KERNEL_MODULES = ("fastgd.backends.numba", "fastgd.kernels")


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def layer_of(module: str) -> int:
    if module == "fastgd" or module in ABOVE:
        return OUTER_RING
    top = module.split(".")[1]
    return next((i for i, names in enumerate(LAYERS) if top in names), OUTER_RING)


def nodes(tree: ast.AST, in_function: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Yield the nodes that run, each with whether it stands in a function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node, in_function
        yield from nodes(node, in_function or isinstance(node, ast.FunctionDef | ast.Lambda))


def imports(module: str) -> Iterator[tuple[str, bool]]:
    """Yield the modules one imports, each with whether it does so in a function."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for node, in_function in nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, in_function
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                yield below if below in MODULES else str(node.module), in_function


def test_the_reader_of_imports_reads_them():
    assert ("fastgd.explain.update", True) in imports("fastgd.explaining")
    assert ("fastgd.files", False) in imports("fastgd.network")
    assert ("fastgd.engine.metrics", False) in imports("fastgd.network")
    assert ("fastgd.rules.scalar", False) in imports("fastgd.kernels.functions")


def test_every_layer_is_there():
    tops = {name.split(".")[1] for name in MODULES if name != "fastgd"}
    assert {name for names in LAYERS for name in names} <= tops


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module):
    for name, _ in imports(module):
        if name.split(".")[0] == "fastgd" and layer_of(name) > layer_of(module):
            pytest.fail(f"{module} imports {name}")


def test_no_module_leads_back_to_itself():
    """Also through imports in functions."""
    below = {module: {name for name, _ in imports(module)} & set(MODULES) for module in MODULES}
    while free := {module for module, names in below.items() if not names & set(below)}:
        below = {module: names for module, names in below.items() if module not in free}
    assert not below, f"circles among {sorted(below)}"


#: Who may ask for a rule by name: rivals, which have words and rules of their own.
RIVALS = {
    module
    for module in MODULES
    if module.startswith("fastgd.sklearn") or module.startswith("fastgd.benchmarks")
}
RULE_NAMES = {*ACTIVATIONS, *LOSSES, *LOSS_NAMES, *OPTIMIZERS}


def compared(tree: ast.AST) -> set[str]:
    """Return the strings that are compared with, looked up or matched."""
    parts: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            parts += [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            parts.append(node.value)
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Dict):
            parts += node.value.keys
    below = [leaf for part in parts for leaf in ast.walk(part)]
    return {leaf.value for leaf in below if isinstance(leaf, ast.Constant)}


def test_rules_are_named_among_the_rules_only():
    """What others need to know of a rule is an attribute of it."""
    for module, path in MODULES.items():
        if not module.startswith("fastgd.rules") and module not in RIVALS:
            found = compared(ast.parse(path.read_text(encoding="utf-8"))) & RULE_NAMES
            assert not found, f"{module} asks for {found}"


@pytest.mark.skipif(not CSRC.is_dir(), reason="no C sources")
def test_rules_are_named_in_one_file_of_c():
    for path in CSRC.iterdir():
        if path.name != "rules.h":
            found = re.findall(r"\b(?:ACTIVATION|LOSS|UPDATE)_[a-z]\w*", path.read_text())
            assert not found, f"{path.name} names {found}"


@pytest.mark.parametrize("module", [name for name in MODULES if layer_of(name) < INNER])
def test_inner_layers_need_numpy_only(module):
    allowed = THIRD_PARTY | sys.stdlib_module_names | {"fastgd"}
    if module.startswith(KERNEL_MODULES):
        allowed |= {"numba", "llvmlite"}
    assert {name.split(".")[0] for name, _ in imports(module)} <= allowed


def run(code: str, *, path: Path = PACKAGE.parent, **environment: str) -> str:
    """Run Python code in a process of its own, warnings being errors; return what it prints."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=path,
        env={**os.environ, "PYTHONPATH": str(path), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout.strip()


HEAVY = ("numba", "llvmlite", "rich", "click", "pandas", "scipy", "sklearn", "safetensors", "jax")
LOADED = f"import sys; print([name for name in {HEAVY} if name in sys.modules])"


def test_importing_fastgd_loads_nothing_heavy():
    assert run(f"import fastgd; {LOADED}") == "[]"


def test_the_reference_needs_no_numba():
    fit = "net = fastgd.Network([2, 3, 1]); net.fit([[1, 2], [3, 4]], [1, 0], verbose=False)"
    assert (
        run(f"import fastgd; {fit}; net.score([[1, 2]], [1]); {LOADED}", FASTGD_BACKEND="numpy")
        == "[]"
    )


class TestKernelCache:
    """Kernels are compiled once per machine, and never served stale."""

    PREDICT = (
        "import fastgd; net = fastgd.Network([1, 1], output='identity', backend='numba');"
        "net.parameters = [2, 1]; print(net.predict([[3]])[0, 0]);"
        "from fastgd.kernels.entries import run;"
        "print(sum(run.stats.cache_hits.values()), sum(run.stats.cache_misses.values()));"
        "print(run.stats.cache_path)"
    )

    @pytest.mark.slow
    def test_a_second_process_compiles_nothing(self):
        run("import fastgd; fastgd.set_backend('numba'); fastgd.warmup('float32')")
        output, stats, path = run(self.PREDICT).splitlines()
        assert (output, stats) == ("7.0", "1 0")
        assert path != "None"

    def test_the_fingerprint_covers_all_a_kernel_is_made_of(self):
        entries = pytest.importorskip("fastgd.kernels.entries")
        kernels = [name for name in MODULES if name.startswith("fastgd.kernels")]
        made_of = {name for kernel in kernels for name, _ in imports(kernel) if name in MODULES}
        files = {MODULES[name].relative_to(PACKAGE).as_posix() for name in made_of - set(kernels)}
        assert "rules/activations.py" in files
        covered = {path for pattern in entries.SOURCES for path in PACKAGE.glob(pattern)}
        assert {PACKAGE / file for file in files} <= covered

    def test_the_fingerprint_notices_every_edit(self, tmp_path, monkeypatch):
        entries = pytest.importorskip("fastgd.kernels.entries")
        copy = shutil.copytree(
            PACKAGE, tmp_path / "fastgd", ignore=shutil.ignore_patterns("__pycache__")
        )
        before = entries._fingerprint()
        monkeypatch.setattr(entries, "PACKAGE", copy)
        assert entries._fingerprint() == before
        seen = {before}
        files = [path for pattern in entries.SOURCES for path in sorted(copy.glob(pattern))]
        for file in files:
            file.write_bytes(file.read_bytes() + b"\n")
            seen.add(entries._fingerprint())
        assert len(seen) == 1 + len(files)
        monkeypatch.setattr(entries.numba, "__version__", "0.0")
        assert entries._fingerprint() not in seen

    def test_the_fingerprint_is_part_of_the_cache_key(self):
        entries = pytest.importorskip("fastgd.kernels.entries")
        assert entries.run._cache._made_of == entries._fingerprint()
