"""The device's house stands alone: no torch, no cloud, and a light door."""

import ast
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import groupnl_device

SOURCE = Path(groupnl_device.__file__).parent
MODULES = sorted(f"groupnl_device.{module.name}" for module in pkgutil.iter_modules([str(SOURCE)]))
ALLOWED = {"groupnl_device", "numpy", "PIL", "onnxruntime"} | sys.stdlib_module_names
EXTRAS = {"groupnl_device_native", "openvino", "ncnn", "executorch", "torch", "groupnl"}  # of adapters, when they run


def fresh(code: str, *arguments: str) -> str:
    """Output of a new interpreter."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_runs_without_torch_and_without_the_cloud(bundle_bytes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tiny.gnl"
    path.write_bytes(bundle_bytes)
    code = """
import importlib, sys
for name in ("torch", "groupnl", "timm", "onnx", "safetensors"):
    sys.modules[name] = None
for name in sys.argv[2:]:
    importlib.import_module(name)
from groupnl_device.bundle import Bundle
from groupnl_device.runtime import Session
print(Session(Bundle.open(sys.argv[1])).self_test())
"""
    assert float(fresh(code, str(path), *MODULES)) < 1e-3


def test_the_source_imports_nothing_else() -> None:
    for file in SOURCE.glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        late = {id(node) for function in functions for node in ast.walk(function)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file.name}: relative import"
                names = [node.module or ""]
            else:
                continue
            extras = EXTRAS if file.name.endswith("_adapter.py") and id(node) in late else set()
            assert {name.split(".")[0] for name in names} <= ALLOWED | extras, f"{file.name} imports {names}"


def test_the_door_is_light() -> None:
    code = "import sys, groupnl_device; print(sorted({'numpy', 'PIL', 'onnxruntime', 'argparse'} & set(sys.modules)))"
    assert fresh(code).strip() == "[]"


def test_help_needs_no_runtime() -> None:
    code = """
import sys
from groupnl_device.cli import _parser
_parser()
print(sorted({'numpy', 'PIL', 'onnxruntime'} & set(sys.modules)))
"""
    assert fresh(code).strip() == "[]"


def test_nothing_unpickles_or_evaluates() -> None:
    for file in SOURCE.glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                assert node.id not in {"eval", "exec", "compile", "pickle", "__import__"}, file.name
            if isinstance(node, ast.keyword):
                assert node.arg not in {"allow_pickle", "shell"}, file.name


def test_the_schema_is_shipped() -> None:
    assert (SOURCE / "manifest.schema.json").is_file()
    assert (SOURCE / "py.typed").is_file()
