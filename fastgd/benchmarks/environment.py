"""What the contestants run on: versions, BLAS and kernels, and what the environment holds back.

An environment variable can keep a library to the kernels of an older processor, or to fewer
threads, without a word. Whoever measures has to know, and to measure without it.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["ABOUT", "about", "held_back", "holding", "instructions", "processor"]

#: Variables that choose kernels, or what is compiled, and so can hold a library back.
KERNELS = (
    "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_BLOCK_FACTOR",
    "MKL_ENABLE_INSTRUCTIONS", "MKL_DEBUG_CPU_TYPE", "MKL_CBWR", "MKL_DYNAMIC",
    "BLIS_ARCH_TYPE", "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES",
    "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE",
    "XLA_FLAGS", "JAX_DISABLE_JIT", "JAX_DISABLE_MOST_OPTIMIZATIONS",
    "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_OPT", "NUMBA_DISABLE_JIT", "GLIBC_TUNABLES",
)  # fmt: skip
#: Variables that say how many threads a library may have; they hold it back below what is asked.
THREADS = (
    "OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS",
    "MKL_NUM_THREADS", "MKL_DOMAIN_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)  # fmt: skip


def holding(environ: Mapping[str, str], threads: int) -> dict[str, str]:
    """Return the variables that can hold a library back, with so many threads asked for.

    Examples
    --------
    >>> holding({"OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "1", "HOME": "/"}, threads=1)
    {'OPENBLAS_CORETYPE': 'Haswell'}
    >>> holding({"OMP_NUM_THREADS": "1"}, threads=2)
    {'OMP_NUM_THREADS': '1'}
    """
    held = {name: environ[name] for name in KERNELS if environ.get(name)}
    for name in THREADS:
        text = environ.get(name, "")
        if text and not (text.isdigit() and int(text) >= threads):
            held[name] = text
    return held


def held_back(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[str, str]]:
    """Return, of each contestant that is, what it is held to, and what it runs when it is not."""
    return {
        name: (str(before[name]["kernels"]), str(what["kernels"]))
        for name, what in after.items()
        if name in before and before[name]["kernels"] != what["kernels"]
    }


def processor() -> str:
    """Return the processor's name, as well as the system tells it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine() or "unknown"


def instructions() -> str:
    """Return the widest vector instructions the processor has, whatever may be switched off.

    >>> bool(instructions())
    True
    """
    flags = set((_cpuinfo("flags") or _cpuinfo("Features")).upper().split())
    features = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
    flags |= {name for name, there in features.items() if there}
    known = {
        "AVX512F": "AVX-512", "AVX2": "AVX2", "AVX": "AVX", "SVE": "SVE", "ASIMD": "NEON",
        "NEON": "NEON", "SSE2": "SSE2",
    }  # fmt: skip
    return next((words for name, words in known.items() if name in flags), "none known")


def _cpuinfo(name: str) -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith(name):
                return line.partition(":")[2].strip()
    return ""


def version(package: str) -> str:
    """Return an installed package's version."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def numpy_blas() -> dict[str, Any]:
    """Return NumPy's BLAS: its name and version, kernels, and threads as they are now."""
    pools: list[dict[str, Any]] = []
    with suppress(ImportError):
        from threadpoolctl import threadpool_info

        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    own = [pool for pool in pools if "numpy" in pool["filepath"]] or pools
    if own:
        pool = own[0]
        name = {"openblas": "OpenBLAS", "mkl": "MKL", "blis": "BLIS"}
        api = name.get(pool["internal_api"], pool["internal_api"])
        kernels = pool.get("architecture") or "chosen for the processor"
        return {
            "products": f"{api} {_short(pool['version'])}".strip(),
            "kernels": kernels,
            "threads": pool["num_threads"],
        }
    built: Any = np.show_config(mode="dicts")
    blas = built.get("Build Dependencies", {}).get("blas", {})
    products = f"{blas.get('name', 'unknown')} {_short(blas.get('version'))}".strip()
    return {"products": products, "kernels": "unknown without threadpoolctl", "threads": None}


def _short(version: str | None) -> str:
    """Return a version without what its packagers put behind it.

    >>> _short("0.3.31.188.0"), _short(None)
    ('0.3.31', '')
    """
    return ".".join((version or "").split(".")[:3])


def about_numpy() -> dict[str, Any]:
    """Return what NumPy multiplies with."""
    return {"version": f"numpy {version('numpy')}", **numpy_blas()}


def about_scipy() -> dict[str, Any]:
    """Return what SciPy and NumPy multiply with: layers beyond the first are dense."""
    blas = numpy_blas()
    blas["products"] = f"CSR loops, {blas['products']}"
    return {"version": f"scipy {version('scipy')}", **blas}


def about_sklearn() -> dict[str, Any]:
    """Return what scikit-learn multiplies with: NumPy."""
    return {"version": f"scikit-learn {version('scikit-learn')}", **numpy_blas()}


def about_sklearn_csr() -> dict[str, Any]:
    """Return what scikit-learn multiplies CSR matrices with: SciPy."""
    return {**about_scipy(), "version": f"scikit-learn {version('scikit-learn')}"}


def about_torch() -> dict[str, Any]:
    """Return PyTorch's libraries, and which instructions they chose."""
    import torch

    built = torch.__config__.show()
    found = []
    for name, pattern in (("MKL", r"Kernel Library Version (\S+?)-"), ("oneDNN", r"DNN v(\S+)")):
        match = re.search(pattern, built)
        found += [f"{name} {match[1]}"] if match else []
    if not found:
        match = re.search(r"BLAS_INFO=(\w+)", built)
        found = [match[1]] if match else ["unknown"]
    own = f"ATen {torch.backends.cpu.get_cpu_capability()}"
    mkl = _mkl_instructions()
    return {
        "version": f"torch {torch.__version__}",
        "products": ", ".join(found),
        "kernels": f"{own}, MKL {mkl}" if mkl else own,
        "threads": torch.get_num_threads(),
    }


def _mkl_instructions() -> str:
    """Return the instructions that PyTorch's MKL says it uses; "" where it says nothing."""
    import torch

    if not torch.backends.mkl.is_available():
        return ""

    def multiply() -> None:
        with torch.backends.mkl.verbose(torch.backends.mkl.VERBOSE_ON):
            torch.ones(8, 8) @ torch.ones(8, 8)

    names = re.findall(r"\((?:Intel\(R\) )?((?:AVX|SSE)\S*)\)", _printed_by(multiply))
    return names[0] if names else ""


def _printed_by(function: Callable[[], None]) -> str:
    """Return what a C library prints meanwhile."""
    flush: Callable[[Any], Any] = lambda _: None  # noqa: E731
    with suppress(OSError, AttributeError, TypeError):
        flush = ctypes.CDLL(None).fflush
    with tempfile.TemporaryFile() as file:
        sys.stdout.flush()
        flush(None)
        kept = os.dup(1)
        try:
            os.dup2(file.fileno(), 1)
            function()
        finally:
            flush(None)
            os.dup2(kept, 1)
            os.close(kept)
        file.seek(0)
        return file.read().decode(errors="replace")


def about_jax() -> dict[str, Any]:
    """Return XLA's version: it compiles for the processor it finds."""
    import jax

    flags = os.environ.get("XLA_FLAGS")
    return {
        "version": f"jax {version('jax')}",
        "products": f"XLA of jaxlib {version('jaxlib')}",
        "kernels": f"compiled here, {flags}"
        if flags
        else f"compiled here, {jax.default_backend()}",
        "threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
    }


def about_onnxruntime() -> dict[str, Any]:
    """Return ONNX Runtime's version: its MLAS chooses kernels for the processor."""
    return {
        "version": f"onnxruntime {version('onnxruntime')}",
        "products": "its MLAS",
        "kernels": "chosen for the processor",
        "threads": None,
    }


def about_native() -> dict[str, Any]:
    """Return which of its instruction sets fastgd's C runs with."""
    from fastgd.backends.native import TIER

    return {**_fastgd(), "products": "its own, in C", "kernels": TIER}


def about_numba() -> dict[str, Any]:
    """Return for which processor Numba compiles."""
    import llvmlite.binding as llvm

    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    products = f"its own, numba {version('numba')}"
    return {**_fastgd(), "products": products, "kernels": f"compiled for {name}"}


def _fastgd() -> dict[str, Any]:
    from fastgd.version import __version__

    return {"version": f"fastgd {__version__}", "threads": None}


ABOUT: dict[str, Callable[[], dict[str, Any]]] = {
    "fastgd-native": about_native,
    "fastgd-numba": about_numba,
    "fastgd-numpy": lambda: {**numpy_blas(), "version": _fastgd()["version"]},
    "numpy": about_numpy,
    "scipy-csr": about_scipy,
    "nielsen": about_numpy,
    "sklearn": about_sklearn,
    "sklearn-csr": about_sklearn_csr,
    "torch": about_torch,
    "jax": about_jax,
    "onnxruntime": about_onnxruntime,
}


def about(names: list[str], threads: int) -> dict[str, dict[str, Any]]:
    """Return each contestant's version, products, kernels and threads, as it runs.

    Parameters
    ----------
    names : list of str
        Of contestants that are installed; who fails to tell is left out.
    threads : int
        As many as each may use.
    """
    from fastgd.benchmarks.timing import limit_threads

    told: dict[str, dict[str, Any]] = {}
    with limit_threads(threads):
        for name in names:
            with suppress(Exception):  # what is broken has been named before
                told[name] = {**ABOUT[name](), "name": name}
                told[name]["threads"] = told[name]["threads"] or threads
    return told
