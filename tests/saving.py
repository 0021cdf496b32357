"""Processes that save to one path, are killed, and are asked what is there: `python saving.py`."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

import fastgd


def networks(n: int = 4) -> list[fastgd.Network]:
    """Return networks of different sizes, each of which is known by its parameters."""
    made = []
    for i in range(n):
        net = fastgd.Network([3, 10 * 4**i, 2], init="zeros", backend="numpy")
        net.parameters = np.full(net.n_parameters, i + 1.0)
        made.append(net)
    return made


def check(path: Path) -> int:
    """Load what is there, and return which network it is."""
    net = fastgd.load(path, backend="numpy")
    values = set(net.parameters.tolist())
    assert len(values) == 1, "half of one network and half of another"
    return int(values.pop())


def save_for_ever(path: Path, seed: int) -> None:
    nets, drawn = networks(), random.Random(seed)
    while True:
        drawn.choice(nets).save(path)


def start(path: Path, seed: int) -> int:
    """Return the number of a process that saves."""
    child = os.fork()
    if child == 0:
        try:
            save_for_ever(path, seed)
        finally:
            os._exit(1)
    return child


def stop(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def killed(path: Path, n: int) -> None:
    """Kill a process that saves, at random times: what is there is whole, litter does not stay."""
    nets, left = networks(), 0
    nets[0].save(path)
    for i in range(n):
        child = start(path, i)
        time.sleep(random.Random(i).uniform(0, 0.02))
        stop(child)
        left += len(os.listdir(path.parent)) - 1
        check(path)
        nets[i % len(nets)].save(path)
        assert check(path) == i % len(nets) + 1
        assert os.listdir(path.parent) == [path.name], "litter after the next save"
    print(f"{n} kills left {left} temporary files, none after the next save")


def concurrent(path: Path, n: int) -> None:
    """Load again and again what four processes save to."""
    networks()[0].save(path)
    children = [start(path, seed) for seed in range(4)]
    try:
        seen = [check(path) for _ in range(n)]
    finally:
        for child in children:
            stop(child)
    networks()[0].save(path)
    assert os.listdir(path.parent) == [path.name]
    print(f"{n} loads, all whole, of {len(set(seen))} networks")


if __name__ == "__main__":
    {"killed": killed, "concurrent": concurrent}[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
