"""Fixtures of the training tests: the tiny net and data, always on the CPU."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"training_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The module ``tiny.py``."""
    return _load("tiny")


@pytest.fixture(scope="session")
def runs() -> ModuleType:
    """The module ``runs.py``."""
    return _load("runs")


@pytest.fixture(scope="session")
def server(runs: ModuleType) -> Iterator[Any]:
    """A running ``runs.Server``."""
    running = runs.Server()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def _on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
