"""The GroupNL layer as a native operator of ONNX Runtime: where its shared library lies.

Pass ``str(library_path())`` to ``onnxruntime.SessionOptions.register_custom_ops_library``. Nothing here imports it.
"""

from importlib.metadata import version
from pathlib import Path

__version__ = version("groupnl-device-native")
__all__ = ["__version__", "library_path"]

_NAMES = ("libgroupnl_device_native.so", "libgroupnl_device_native.dylib")


def library_path() -> Path:
    """The library with the operators of the domain ``groupnl``.

    Raises:
        FileNotFoundError: It was not built, as in a source tree that nobody installed.
    """
    folder = Path(__file__).parent
    for name in _NAMES:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{folder}: no {' or '.join(_NAMES)} here; install with: pip install ./device/native")
