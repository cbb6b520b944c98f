"""Patches between bundles, from the publisher's end to the device's."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl.delivery import ways
from groupnl.delivery.patches import make_patch
from groupnl.export.bundle_writer import assemble
from groupnl_device.bundle import Bundle
from groupnl_device.delivery.errors import PatchError
from groupnl_device.delivery.patch import apply_patch
from groupnl_device.manifest import Artifact, Manifest
from groupnl_device.preprocessing import Preprocessing
from groupnl_device.repack import compressed, stored

Tensors = dict[str, np.ndarray]
CHANGES = ("keep", "nudge", "replace", "resize", "cast", "drop")


def bundle(tensors: Tensors, name: str = "net", graph: bytes = bytes(range(256)) * 20) -> Bundle:
    """A bundle that no runtime can run; patches do not mind."""
    manifest = Manifest(
        name=name,
        input_name="input",
        input_shape=(None, 3, 8, 8),
        output_name="logits",
        output_shape=(None, 2),
        preprocessing=Preprocessing(input_size=(3, 8, 8), mean=(0.5,) * 3, std=(0.5,) * 3),
        class_names=("one", "two"),
        entries={},
        layers=(),
        artifacts=(
            Artifact(
                runtime="none",
                form="plain",
                precision="float32",
                files={"graph": "graph.onnx", "weights": "weights.safetensors"},
                requires={},
                agreement={},
            ),
        ),
        measured={},
        producer={},
    )
    entries = {"graph.onnx": graph, "weights.safetensors": safetensors.numpy.save(tensors)}
    return Bundle.from_bytes(assemble(manifest, entries))


def in_form(form: str, told: Bundle) -> bytes:
    return stored(told) if form == "stored" else compressed(told)


def on_a_device(old: bytes, patch: bytes, folder: Path) -> bytes:
    (folder / "old.gnl").write_bytes(old)
    (folder / "p.patch").write_bytes(patch)
    apply_patch(folder / "old.gnl", folder / "p.patch", folder / "new.gnl")
    return (folder / "new.gnl").read_bytes()


def trained_on(tensors: Tensors, changes: list[str], rng: np.random.Generator) -> Tensors:
    found = {}
    for (name, value), change in zip(tensors.items(), changes, strict=True):
        match change:
            case "keep":
                found[name] = value
            case "nudge":
                found[name] = (value * (1 + 1e-3 * rng.normal(size=value.shape))).astype(value.dtype)
            case "replace":
                found[name] = rng.normal(size=value.shape).astype(value.dtype)
            case "resize":
                found[name] = np.concatenate([value, value[:1]])
            case "cast":
                found[name] = value.astype(np.float16)
    return found or {"left": np.zeros(3, np.float32)}


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_any_change_in_any_form(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    shapes = data.draw(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40)), min_size=1, max_size=5))
    dtypes = [data.draw(st.sampled_from([np.float32, np.float16, np.int8])) for _ in shapes]
    before = {
        f"t{k}": (20 * rng.normal(size=shape)).astype(dtype)
        for k, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True))
    }
    after = trained_on(before, [data.draw(st.sampled_from(CHANGES)) for _ in before], rng)
    graph = data.draw(st.binary(max_size=50)) + bytes(range(256)) * 20
    old = in_form(data.draw(st.sampled_from(["stored", "compressed"])), bundle(before))
    new = bundle(after, "another", graph)
    sent = Bundle.from_bytes(in_form(data.draw(st.sampled_from(["stored", "compressed"])), new))
    patch = make_patch(Bundle.from_bytes(old), sent)
    assert on_a_device(old, patch, tmp_path_factory.mktemp("device")) == stored(new)


def test_patch_serves_both_forms_of_the_old_bundle(tmp_path: Path) -> None:
    weights = {"w": np.tile(np.arange(500, dtype=np.float32), 4)}
    old, new = bundle(weights), bundle({"w": weights["w"] + 1})
    forms = [stored(old), compressed(old)]
    patches = {make_patch(Bundle.from_bytes(form), new) for form in forms}
    assert len(patches) == 1
    assert forms[0] != forms[1]
    for form in forms:
        assert on_a_device(form, *patches, tmp_path) == stored(new)


def test_what_stayed_is_not_sent(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    body, head = rng.normal(size=700_000).astype(np.float32), rng.normal(size=(10, 64)).astype(np.float32)
    old, new = bundle({"a.body": body, "b.head": head}), bundle({"a.body": body, "b.head": head * 2})
    assert len(make_patch(old, old)) < 400
    patch = make_patch(old, new)
    assert len(patch) < head.nbytes + 800
    assert on_a_device(stored(old), patch, tmp_path) == stored(new)


def test_large_tensors_take_several_steps(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    body = rng.normal(size=700_000).astype(np.float16).astype(np.float32)  # its lower bytes compress well
    old, new = bundle({"w": body}), bundle({"w": np.where(np.arange(body.size) < 400_000, body, body * 2)})
    patch = make_patch(old, new)
    assert on_a_device(stored(old), patch, tmp_path) == stored(new)
    assert len(patch) < 0.05 * body.nbytes  # twice as large: one bit of the exponent


def test_same_bundles_give_the_same_patch() -> None:
    old, new = bundle({"w": np.arange(99.0)}), bundle({"w": np.arange(99.0) + 0.1})
    assert make_patch(old, new) == make_patch(old, new)


def test_no_patch_is_returned_that_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_change(old: bytes, new: bytes, width: int, by: str) -> list[bytes]:
        return [bytes(len(new) // width)] * width

    monkeypatch.setattr(ways, "to_planes", no_change)
    old = bundle({"w": np.arange(999, dtype=np.float32)})
    with pytest.raises(PatchError, match="not the bundle that the patch promises"):
        make_patch(old, bundle({"w": np.arange(999, dtype=np.float32) * 1.1}))
