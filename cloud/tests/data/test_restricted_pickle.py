"""The reader is attacked with pickles that would run code, read files or take memory."""

import builtins
import os
import pickle
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groupnl.data.restricted_pickle import read_pickle


def write(path: Path, content: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


class Calls:
    """Pickles as a call of ``function(*arguments)``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [3, 4])
def test_reads_what_such_files_hold(tmp_path: Path, protocol: int) -> None:
    rows = np.arange(6, dtype=np.uint8).reshape(2, 3)
    content = {
        b"data": rows,
        "labels": [1, 2**40, 0.5, True, None],
        b"columns": np.asfortranarray(rows),
        "pair": (1, []),
    }
    read = read_pickle(write(tmp_path / "f", content, protocol))
    assert np.array_equal(read[b"data"], rows)
    assert np.array_equal(read[b"columns"], rows)
    assert read["labels"] == content["labels"]
    assert read["pair"] == (1, [])


def test_reads_numpy_1_module_names_and_python_2_strings(tmp_path: Path) -> None:
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntU\x01btR"
        b"(I1\n(I1\nI3\ntcnumpy\ndtype\n(U\x02u1I0\nI1\ntR(I3\nU\x01|NNNI-1\nI-1\nI0\ntbI00\nU\x03\x07\x08\x09tb"
    )
    (tmp_path / "f").write_bytes(b"\x80\x02}U\x04data" + array + b"s.")
    read = read_pickle(tmp_path / "f")
    assert read[b"data"].tolist() == [[7, 8, 9]]


def test_no_code_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    attacks = [
        Calls(os.system, f"touch {mark}"),
        Calls(subprocess.check_output, ["touch", str(mark)]),
        Calls(builtins.eval, f"open({str(mark)!r}, 'w')"),
        Calls(builtins.getattr, "x", "upper"),
        Calls(np.load, str(mark)),
        Calls(np.fromfile, str(mark)),
        Calls(np.zeros, 10),
    ]
    for number, attack in enumerate(attacks):
        for content in (attack, {b"data": attack}, [attack]):
            with pytest.raises(ValueError, match=f"batch{number}.*not a pickle that can be read safely"):
                read_pickle(write(tmp_path / f"batch{number}", content))
    assert not mark.exists()


def test_the_message_names_what_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"asks for \w+\.system"):
        read_pickle(write(tmp_path / "f", Calls(os.system, "true")))


@pytest.mark.parametrize(
    "content",
    [np.array([object()], dtype=object), np.zeros(3, np.float32), np.zeros(2, [("a", "u1")]), np.uint8(3), {1, 2}, 1j],
    ids=["objects", "floats", "records", "scalar", "set", "complex"],
)
def test_other_content_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(ValueError, match="not a pickle that can be read safely"):
        read_pickle(write(tmp_path / "f", {b"data": content}))


def test_a_shape_larger_than_the_bytes_is_refused(tmp_path: Path) -> None:
    honest = pickle.dumps(np.zeros((1, 77), np.uint8), protocol=3)
    forged = honest.replace(b"K\x01KM\x86", b"J" + struct.pack("<i", 2**31 - 1) + b"KM\x86")
    assert forged != honest
    (tmp_path / "f").write_bytes(forged)
    with pytest.raises(ValueError, match=r"an array of shape \(2147483647, 77\) in 77 bytes"):
        read_pickle(tmp_path / "f")


def test_names_of_ours_cannot_be_left_as_objects(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"cnumpy\nndarray\n.")
    with pytest.raises(ValueError, match="it holds a type"):
        read_pickle(tmp_path / "f")
    (tmp_path / "g").write_bytes(b"cnumpy\nndarray\n)R.")
    with pytest.raises(ValueError, match="it holds a _NdarrayName"):
        read_pickle(tmp_path / "g")
    (tmp_path / "h").write_bytes(b"cnumpy.core.multiarray\n_reconstruct\n)R.")
    with pytest.raises(ValueError, match="h: not a pickle that can be read safely"):
        read_pickle(tmp_path / "h")


def test_a_list_that_holds_itself_is_refused(tmp_path: Path) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="holds itself"):
        read_pickle(write(tmp_path / "f", endless))


def test_a_small_file_cannot_unfold_into_a_huge_value(tmp_path: Path) -> None:
    layer: list[Any] = [0]
    for _ in range(60):
        layer = [layer, layer]  # written once and referred to twice: 2**60 elements if copied naively
    read = read_pickle(write(tmp_path / "f", layer))
    assert read[0] is read[1]


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    whole = pickle.dumps({b"data": np.zeros((2, 5), np.uint8), b"labels": [1, 2]}, protocol=3)
    for length in range(len(whole)):
        (tmp_path / "short").write_bytes(whole[:length])
        with pytest.raises(ValueError, match="short: not a pickle"):
            read_pickle(tmp_path / "short")
