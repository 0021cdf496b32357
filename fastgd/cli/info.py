"""``fastgd info``: what is installed and works here, or what is in a model file."""

from __future__ import annotations

import os
import platform
from typing import Any

import click

from fastgd.cli.options import Command, output_options
from fastgd.cli.output import Output

__all__ = ["info"]

EPILOG = """\b
Examples:
  fastgd info
  fastgd info digits.safetensors
"""


@click.command(cls=Command, epilog=EPILOG)
@click.argument("model", required=False)
@output_options
def info(model: str | None, as_json: bool, quiet: bool) -> None:
    """Show what is installed and works, or describe a MODEL file."""
    output = Output(as_json, quiet)
    output.needed = not quiet
    record = installation() if model is None else describe_model(model, output)
    if model is None:
        for name, value in record.items():
            if isinstance(value, dict):
                output.say(name)
                for key, text in value.items():
                    output.say(f"  {key:12s}{text}")
            else:
                output.say(f"{name.replace('_', ' '):14s}{value}")
    output.finish({"command": "info", **record})


def installation() -> dict[str, Any]:
    """Return what is installed and works here."""
    import importlib.metadata

    from fastgd import __version__
    from fastgd.backends import describe

    def version(package: str) -> str:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return "not installed"

    packages = ("numpy", "numba", "pandas", "click", "rich")
    return {
        "fastgd": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "processor": processor(),
        "cores": cores(),
        "packages": {name: version(name) for name in packages},
        "backends": describe(),
        "instructions": instructions(),
        "kernel_cache": cache_folder(),
    }


def processor() -> str:
    """Return the processor's name, as well as the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"


def instructions() -> str:
    """Return which instructions the native backend uses, and what else it could."""
    try:
        from fastgd.backends import native
    except ImportError:
        return "no native backend"
    return f"{native.TIER} (of {', '.join(native.TIERS)})"


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cache_folder() -> str:
    """Return where compiled kernels are kept, or why nowhere."""
    try:
        from fastgd.kernels.entries import run
    except ImportError:
        return "none: no numba"
    stats = getattr(run, "stats", None)
    return getattr(stats, "cache_path", None) or "none: no folder to trust or to write to"


def describe_model(path: str, output: Output) -> dict[str, Any]:
    """Print what is in a model file, and return it."""
    from fastgd.engine.scaling import SCALINGS, scaling_words
    from fastgd.network import load

    network = load(path, backend="numpy")
    a = network.architecture
    output.say(f"{path}: {network.n_parameters:,} weights and biases, {a.dtype}")
    words = scaling_words(a) or [f"inputs times {a.input_scale:g}"]
    output.say(", ".join([f"output {a.output}", f"loss {a.loss}", *words]))
    output.say()
    rows = [
        [str(layer), f"{W.shape[0]:,}", f"{W.shape[1]:,}", rule.name, f"{W.size + W.shape[1]:,}"]
        for layer, (W, rule) in enumerate(zip(network.weights, a.rules, strict=True), 1)
    ]
    output.table(["layer", "inputs", "units", "activation", "weights and biases"], rows)
    if network.notes:
        output.say()
        for name, value in network.notes.items():
            output.say(f"{name:14s}{value if len(value) <= 100 else value[:97] + '...'}")
    return {
        "model": path,
        "sizes": a.sizes,
        "n_parameters": network.n_parameters,
        "activation": a.activation_name,
        "output": str(a.output),
        "loss": str(a.loss),
        "dtype": a.dtype,
        **{name: getattr(network, name) for name in SCALINGS},
        "notes": network.notes,
    }
