"""Writing corrupted sets: the published layouts, and what a kill, a full disk or a wrong folder leave behind."""

import hashlib
import io
import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from groupnl.data import ImageSet, open_corrupted
from groupnl.data.corrupted_manifest import Header
from groupnl.data.corrupted_writer import describe_corrupted, write_corrupted

CORRUPTIONS = ("lighter", "darker")
FILES = ("ant/1.png", "ant/b.c.jpg", "bee/sub/1.gif", "bee/2.png", "bee/3.png")


def clean_set(files: tuple[str, ...] = ()) -> ImageSet:
    return ImageSet(
        name="made",
        split="test",
        images=torch.arange(5 * 3 * 4 * 6).remainder(251).to(torch.uint8).reshape(5, 3, 4, 6),
        labels=torch.tensor([0, 0, 1, 1, 1]),
        class_names=("ant", "bee"),
        horizontal_flip=False,
        files=files,
    )


def describe(data: ImageSet, **options: object) -> Header:
    usual = {
        "corruptions": CORRUPTIONS,
        "severities": (1, 2, 3, 4, 5),
        "variant": "cifar",
        "seed": 7,
        "frost_source": None,
    }
    return describe_corrupted(data, **{**usual, **options})


def change(images: Tensor, name: str, severity: int, first_index: int) -> Tensor:
    """Depends on all that it is given, and on each image's own index."""
    index = torch.arange(first_index, first_index + len(images)).view(-1, 1, 1, 1)
    shift = (3 * severity + index) * (1 if name == "lighter" else -1)
    return (images.to(torch.int64) + shift).remainder(256).to(torch.uint8)


def expected(data: ImageSet, name: str, severity: int) -> np.ndarray:
    return change(data.images, name, severity, 0).permute(0, 2, 3, 1).numpy()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("batch_size", [2, 100])
def test_arrays_in_the_layout_of_cifar10c(tmp_path: Path, batch_size: int) -> None:
    data, out = clean_set(), tmp_path / "new" / "out"
    seen: list[tuple[str, int, int]] = []
    manifest = write_corrupted(
        out, data, describe(data), change, batch_size=batch_size, progress=lambda *step: seen.append(step)
    )
    assert sorted(path.name for path in out.iterdir()) == [
        "darker.npy", "groupnl-corruptions.json", "labels.npy", "lighter.npy"
    ]  # fmt: skip
    for name in CORRUPTIONS:
        array = np.load(out / f"{name}.npy")
        assert (array.dtype, array.shape) == (np.uint8, (25, 4, 6, 3))
        assert np.array_equal(array, np.concatenate([expected(data, name, severity) for severity in range(1, 6)]))
        assert manifest.finished[name] == hashlib.sha256((out / f"{name}.npy").read_bytes()).hexdigest()
    labels = np.load(out / "labels.npy")
    assert labels.tolist() == [0, 0, 1, 1, 1] * 5
    assert labels.dtype == np.int64
    assert seen[-1][1:] == (50, 50)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_a_tree_in_the_layout_of_imagenetc(tmp_path: Path) -> None:
    data, out = clean_set(FILES), tmp_path / "out"
    manifest = write_corrupted(out, data, describe(data, encoding="png"), change, batch_size=2)
    files = contents(out)
    assert len(files) == 1 + 2 * 5 * 5
    names = ("ant/1.png", "ant/b.c.png", "bee/sub/1.png", "bee/2.png", "bee/3.png")
    for name in CORRUPTIONS:
        lines = []
        for severity in range(1, 6):
            for picture, pixels in zip(names, expected(data, name, severity), strict=True):
                content = files[f"{name}/{severity}/{picture}"]
                assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), pixels)
                lines.append(f"{hashlib.sha256(content).hexdigest()}  {severity}/{picture}\n")
        assert manifest.finished[name] == hashlib.sha256("".join(lines).encode()).hexdigest()
    found = open_corrupted(out, data)
    assert found.corruptions == CORRUPTIONS
    assert np.array_equal(found.images("darker", 4, range(5)).permute(0, 2, 3, 1).numpy(), expected(data, "darker", 4))


def test_pictures_are_jpeg_of_quality_85_by_default(tmp_path: Path) -> None:
    data, out = clean_set(FILES), tmp_path / "out"
    manifest = write_corrupted(out, data, describe(data, corruptions=("lighter",), severities=(2,)), change)
    assert (manifest.header.layout, manifest.header.encoding) == ("tree", "jpeg")
    buffer = io.BytesIO()
    Image.fromarray(expected(data, "lighter", 2)[1]).save(buffer, "JPEG", quality=85, optimize=True)
    assert (out / "lighter" / "2" / "ant" / "b.c.JPEG").read_bytes() == buffer.getvalue()


def test_a_written_set_is_read_and_known_as_generated(tmp_path: Path) -> None:
    data, out = clean_set(), tmp_path / "mine-C"
    write_corrupted(out, data, describe(data, severities=(2, 5), frost_source="mine"), change)
    found = open_corrupted(out, data)
    assert (found.name, found.origin, found.frost_source) == ("mine-C", "generated", "mine")
    assert found.source.startswith("groupnl ")
    assert found.source.endswith(", seed 7")
    assert found.severities == (2, 5)
    images = found.images("lighter", 5, range(1, 4))
    assert np.array_equal(images.permute(0, 2, 3, 1).numpy(), expected(data, "lighter", 5)[1:4])
    versions = json.loads((out / "groupnl-corruptions.json").read_text())["header"]["versions"]
    assert versions["torch"] == str(torch.__version__)


@pytest.mark.parametrize("files", [(), FILES], ids=["arrays", "pictures"])
@pytest.mark.parametrize("calls", [0, 3, 14, 15, 29])
def test_a_stopped_run_goes_on_and_gives_the_same_files(tmp_path: Path, files: tuple[str, ...], calls: int) -> None:
    data = clean_set(files)
    header = describe(data)
    write_corrupted(tmp_path / "whole", data, header, change, batch_size=2)
    done: list[str] = []

    def until(limit: int) -> Callable[[Tensor, str, int, int], Tensor]:
        def corrupt(images: Tensor, name: str, severity: int, first_index: int) -> Tensor:
            if len(done) == limit:
                raise KeyboardInterrupt
            done.append(name)
            return change(images, name, severity, first_index)

        return corrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        write_corrupted(out, data, header, until(calls), batch_size=2)
    assert not any(path.name.endswith(".tmp") for path in out.iterdir())
    assert ("lighter" in str(list(out.iterdir()))) == (calls >= 15)  # 3 batches x 5 severities a corruption
    if calls >= 15:
        assert open_corrupted(out, data).corruptions == ("lighter",)
    else:
        with pytest.raises(FileNotFoundError, match="no corruption in it"):
            open_corrupted(out, data)
    done.clear()
    write_corrupted(out, data, header, until(10_000), batch_size=2)
    assert ("lighter" in done) == (calls < 15)  # what was finished is not done again
    assert contents(out) == contents(tmp_path / "whole")
    done.clear()
    write_corrupted(out, data, header, until(0), batch_size=2)  # whole: nothing is left to do


def test_a_killed_process_leaves_a_set_that_goes_on(tmp_path: Path) -> None:
    data, out = clean_set(FILES), tmp_path / "out"
    header = describe(data)
    script = """
        import importlib.util, os, sys
        from pathlib import Path
        spec = importlib.util.spec_from_file_location("writer_tests", sys.argv[1])
        tests = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(tests)
        calls = []
        def corrupt(images, name, severity, first_index):
            calls.append(name)
            if len(calls) == 20:
                os._exit(9)  # as a kill: nothing is cleaned up
            return tests.change(images, name, severity, first_index)
        data = tests.clean_set(tests.FILES)
        tests.write_corrupted(Path(sys.argv[2]), data, tests.describe(data), corrupt, batch_size=2)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), __file__, str(out)]
    assert subprocess.run(command, env=os.environ, check=False).returncode == 9
    assert any(path.name.endswith(".tmp") for path in out.iterdir())
    assert open_corrupted(out, data).corruptions == ("lighter",)
    write_corrupted(out, data, header, change)
    write_corrupted(tmp_path / "whole", data, header, change)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_kill_between_files_and_manifest_is_repaired(tmp_path: Path) -> None:
    data, out = clean_set(FILES), tmp_path / "out"
    header = describe(data, corruptions=("lighter",))
    write_corrupted(out, data, header, change)
    whole = contents(out)
    manifest = out / "groupnl-corruptions.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "finished": {}}))
    (out / "lighter" / "1" / "ant" / "stray.JPEG").write_bytes(b"of another run")
    write_corrupted(out, data, header, change)
    assert contents(out) == whole


def test_two_runs_at_once_share_the_work_of_one(tmp_path: Path) -> None:
    data, out = clean_set(), tmp_path / "out"
    made: list[int] = []

    def slow(images: Tensor, name: str, severity: int, first_index: int) -> Tensor:
        time.sleep(0.01)
        made.append(len(images))
        return change(images, name, severity, first_index)

    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(write_corrupted, out, data, describe(data), slow, batch_size=2) for _ in range(3)]
    first, *others = [run.result() for run in runs]
    assert others == [first, first]
    assert sum(made) == 2 * 5 * 5
    write_corrupted(tmp_path / "alone", data, describe(data), change)
    assert contents(out) == contents(tmp_path / "alone")


def test_a_run_that_begins_while_another_looks_is_not_taken_for_a_stranger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = clean_set(), tmp_path / "out"
    list_folder = Path.iterdir

    def listed_late(folder: Path) -> Iterator[Path]:
        monkeypatch.setattr(Path, "iterdir", list_folder)
        write_corrupted(out, data, describe(data), change)
        return list_folder(folder)

    monkeypatch.setattr(Path, "iterdir", listed_late)
    write_corrupted(out, data, describe(data), change)
    write_corrupted(tmp_path / "alone", data, describe(data), change)
    assert contents(out) == contents(tmp_path / "alone")


def test_a_finished_set_is_not_touched(tmp_path: Path) -> None:
    data, out = clean_set(), tmp_path / "out"
    manifest = write_corrupted(out, data, describe(data), change)
    before = {path: path.stat().st_mtime_ns for path in (out, *out.iterdir())}
    assert write_corrupted(out, data, describe(data), change) == manifest
    assert {path: path.stat().st_mtime_ns for path in (out, *out.iterdir())} == before


def test_other_folders_and_other_settings_are_refused(tmp_path: Path) -> None:
    data, out = clean_set(), tmp_path / "out"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.png").write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="photos is not empty and holds no set that groupnl began"):
        write_corrupted(tmp_path / "photos", data, describe(data), change)
    assert contents(tmp_path / "photos") == {"mine.png": b"precious"}
    write_corrupted(out, data, describe(data), change)
    before = contents(out)
    with pytest.raises(ValueError, match="out was begun with seed=7, now 8: give the same settings again"):
        write_corrupted(out, data, describe(data, seed=8), change)
    other = clean_set()
    other.images[0, 0, 0, 0] += 1
    with pytest.raises(ValueError, match="begun with clean_sha256="):
        write_corrupted(out, other, describe(other), change)
    assert contents(out) == before


def test_sets_without_files_or_with_clashing_names_make_no_tree() -> None:
    with pytest.raises(ValueError, match="encoding='png': the images of made have no files"):
        describe(clean_set(), encoding="png")
    clash = clean_set(("ant/1.png", "ant/1.jpg", "bee/1.png", "bee/2.png", "bee/3.png"))
    with pytest.raises(ValueError, match="two pictures 'ant/1' that differ in their suffix only"):
        describe(clash)
    assert describe(clash, encoding="raw").layout == "npy"


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = clean_set()

    def full(images: Tensor, name: str, severity: int, first_index: int) -> Tensor:
        if name == "darker":
            raise OSError(28, "No space left on device")
        return change(images, name, severity, first_index)

    with pytest.raises(OSError, match="No space left"):
        write_corrupted(tmp_path / "a", data, describe(data), full)
    assert open_corrupted(tmp_path / "a", data).corruptions == ("lighter",)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=3599))
    with pytest.raises(OSError, match=r"GiB are needed and .* GiB are free: make room"):
        write_corrupted(tmp_path / "b", data, describe(data), change)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=3600))  # 2 x 5 x 5 pictures of 72 bytes
    write_corrupted(tmp_path / "b", data, describe(data), change)


def test_images_are_read_and_corrupted_a_batch_at_a_time(tmp_path: Path) -> None:
    longest = 0

    def corrupt(images: Tensor, name: str, severity: int, first_index: int) -> Tensor:
        nonlocal longest
        longest = max(longest, len(images))
        return images

    data = clean_set()
    write_corrupted(tmp_path / "out", data, describe(data), corrupt, batch_size=2)
    assert longest == 2
