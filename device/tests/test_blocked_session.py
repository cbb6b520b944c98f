"""A session is to be had whatever goes wrong with the blocked layout.

What needs the native operators is tested with them, in ``device/native/tests``.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from groupnl_device import blocked_session
from groupnl_device.blocked_session import block_of_this_runtime, open_session
from groupnl_device.model_cache import ModelCache
from groupnl_device.onnx_graph import OnnxGraph

X = np.random.default_rng(0).standard_normal((2, 3, 9, 8)).astype(np.float32)
WEIGHT = np.random.default_rng(1).standard_normal((16, 3, 3, 3)).astype(np.float32)


def graph(*, bad: bool = False) -> bytes:
    """Two convolutions, the first one's weight from memory."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=WEIGHT.shape, data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="weights")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"], pads=[1] * 4),
        helper.make_node("Conv" if not bad else "Unknown", ["h", "v"], ["y"]),
    ]
    inner = numpy_helper.from_array(np.ones((5, 16, 1, 1), np.float32), "v")
    shapes = [("x", ["batch", 3, "h", "w"]), ("y", ["batch", 5, "h", "w"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes]
    made = helper.make_graph(nodes, "g", ends[:1], ends[1:], [weight, inner])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()


def options() -> Any:
    made = onnxruntime.SessionOptions()
    made.log_severity_level = 4
    made.intra_op_num_threads = 1
    return made


def opened(cache: ModelCache, raw: bytes = b"") -> Any:
    return open_session(raw or graph(), {"w": WEIGHT}, options, versions="these", cache=cache)


def answer(found: Any) -> np.ndarray[Any, Any]:
    return found.session.run(None, {"x": X})[0]


def expected() -> np.ndarray[Any, Any]:
    return answer(blocked_session.plain_session(graph(), {"w": WEIGHT}, options()))


def edited(monkeypatch: pytest.MonkeyPatch, edit: Any) -> None:
    """Puts another edit in the place of ``to_blocks``: it gets what ONNX Runtime saved."""
    monkeypatch.setattr(blocked_session, "block_of_this_runtime", lambda: 16)
    monkeypatch.setattr(blocked_session, "to_blocks", lambda model, block: edit(model))


def test_a_net_without_layers_stays_and_the_next_load_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ModelCache(tmp_path)
    found = opened(cache)
    assert not found.blocked
    np.testing.assert_array_equal(answer(found), expected())
    monkeypatch.setattr(blocked_session, "_saved", None)  # would fail: nothing is optimised and saved again
    again = opened(cache)
    assert not again.blocked
    np.testing.assert_array_equal(answer(again), expected())


def test_an_edited_graph_is_kept_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edited(monkeypatch, lambda model: OnnxGraph(model).serialized())
    cache = ModelCache(tmp_path)
    found = opened(cache)
    assert found.blocked
    np.testing.assert_array_equal(answer(found), expected())
    monkeypatch.setattr(blocked_session, "_saved", None)
    again = opened(cache)
    assert again.blocked
    np.testing.assert_array_equal(answer(again), expected())


def test_without_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    edited(monkeypatch, lambda model: OnnxGraph(model).serialized())
    for _ in range(2):
        assert opened(ModelCache(None)).blocked


def raises(_model: bytes) -> bytes:
    raise RuntimeError("anything")


def other_answers(model: bytes) -> bytes:
    return model.replace(np.float32(1).tobytes() * 4, np.float32(1.001).tobytes() * 4)


def no_number(model: bytes) -> bytes:
    return model.replace(np.float32(1).tobytes() * 4, np.float32(np.nan).tobytes() * 4)


def from_a_file(_model: bytes) -> bytes:
    return graph()


@pytest.mark.parametrize(
    "edit", [raises, other_answers, no_number, from_a_file, lambda model: model[:-9], lambda _: b""]
)
def test_an_edit_that_fails_leaves_the_plain_session(
    edit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited(monkeypatch, edit)
    for _ in range(2):
        found = opened(ModelCache(tmp_path))
        assert not found.blocked
        np.testing.assert_array_equal(answer(found), expected())


def test_a_runtime_without_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in (1, 4):
        monkeypatch.setattr(blocked_session, "block_of_this_runtime", lambda block=block: block)
        assert not opened(ModelCache(tmp_path)).blocked


@pytest.mark.parametrize("content", [b"", b"no model", graph(bad=True)])
def test_what_a_cache_holds_is_judged_again(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edited(monkeypatch, lambda model: OnnxGraph(model).serialized())
    cache = ModelCache(tmp_path)
    opened(cache)
    (file,) = tmp_path.iterdir()
    cache.store(file.name.removesuffix(".model"), content)
    found = opened(cache)
    assert found.blocked  # made anew
    np.testing.assert_array_equal(answer(found), expected())


def test_nowhere_to_save(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nowhere(**_: Any) -> Any:
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr(blocked_session.tempfile, "TemporaryDirectory", nowhere)
    found = opened(ModelCache(tmp_path))
    assert not found.blocked
    np.testing.assert_array_equal(answer(found), expected())


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    edited(monkeypatch, lambda model: OnnxGraph(model).serialized())

    class Gone:
        def __init__(self, **_: Any) -> None:
            pass

        def __enter__(self) -> str:
            return str(tmp_path / "no such folder")

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(blocked_session.tempfile, "TemporaryDirectory", Gone)
    found = opened(ModelCache(tmp_path / "cache"))
    assert not found.blocked
    np.testing.assert_array_equal(answer(found), expected())


def test_a_graph_that_the_runtime_refuses_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="Unknown"):
        opened(ModelCache(tmp_path), graph(bad=True))
    assert list(tmp_path.iterdir()) == []


def test_another_weight_is_another_net(tmp_path: Path) -> None:
    cache = ModelCache(tmp_path)
    opened(cache)
    open_session(graph(), {"w": WEIGHT + 1}, options, versions="these", cache=cache)
    open_session(graph(), {"w": WEIGHT}, options, versions="others", cache=cache)
    assert len(list(tmp_path.iterdir())) == 3


def test_the_block_of_this_runtime() -> None:
    try:
        block = block_of_this_runtime()
    except Exception as error:
        pytest.skip(f"this ONNX Runtime has no blocked layout: {error}")
    assert block in (8, 16)
