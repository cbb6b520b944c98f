"""Answers on disk: what a finished folder gives, and what a damaged, foreign or unfinished one is refused for."""

import copy
import errno
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from groupnl.data import ImageSet
from groupnl.evaluation import CLEAN, Answers, Condition, answers_folder, evaluate
from groupnl.evaluation.answers_folder import hash_of_net
from groupnl_device.preprocessing import Preprocessing

OPTIONS: dict[str, Any] = {"corruptions": ["brightness", "contrast"], "severities": [1, 5], "batch_size": 4}


@pytest.fixture
def folder(net: nn.Module, flat: ImageSet, plain: Preprocessing, tmp_path: Path) -> Path:
    """What an evaluation leaves."""
    evaluate(net, flat, preprocessing=plain, answers_dir=tmp_path / "a", name="toy", **OPTIONS)
    return tmp_path / "a"


def test_every_answer_is_there(folder: Path, flat: ImageSet) -> None:
    answers = Answers.load(folder)
    assert answers.about.name == "toy"
    assert answers.labels.tolist() == flat.labels.tolist()
    assert next(iter(answers.given)) == CLEAN
    assert answers.severities() == {"brightness": [1, 5], "contrast": [1, 5]}
    assert answers.given[CLEAN]["predicted"].tolist() == [0, 0, 1, 1, 2, 2]
    assert answers.given[CLEAN]["confidence"] == pytest.approx(np.full(6, np.e / (np.e + 2)))
    assert answers.right(CLEAN).tolist() == [True, False, True, True, True, False]
    # levels 86 116 176 226 255 255, limits 60 and 180
    assert answers.given[Condition("brightness", 5)]["predicted"].tolist() == [1, 1, 1, 2, 2, 2]


def test_the_files_are_plain_arrays(folder: Path) -> None:
    assert np.load(folder / "brightness-5.npy", allow_pickle=False)["predicted"].tolist() == [1, 1, 1, 2, 2, 2]
    assert np.load(folder / "labels.npy", allow_pickle=False).dtype == np.int64


def test_a_finished_evaluation_is_not_run_again(net, flat: ImageSet, plain: Preprocessing, folder: Path) -> None:
    first = evaluate(net, flat, preprocessing=plain, name="toy", **OPTIONS)
    net.seen.clear()
    calls: list[tuple[str, int, int]] = []

    def note(label: str, done: int, total: int) -> None:
        calls.append((label, done, total))

    again = evaluate(net, flat, preprocessing=plain, name="toy", answers_dir=folder, progress=note, **OPTIONS)
    assert net.seen == []
    assert calls == [("done before", 30, 30)]
    assert again == first


def test_more_corruptions_are_added(net, flat: ImageSet, plain: Preprocessing, folder: Path) -> None:
    net.seen.clear()
    more = OPTIONS | {"corruptions": ["brightness", "pixelate", "contrast"]}
    found = evaluate(net, flat, preprocessing=plain, answers_dir=folder, **more)
    assert len(net.seen) == 4  # two batches at two severities
    assert list(found.corruptions) == ["brightness", "pixelate", "contrast"]
    assert list(Answers.load(folder).severities()) == ["brightness", "contrast", "pixelate"]


def test_an_automatic_batch_size_stays_what_it_was(net, flat: ImageSet, plain: Preprocessing, folder: Path) -> None:
    (folder / "contrast-5.npy").unlink()
    net.seen.clear()
    evaluate(net, flat, preprocessing=plain, answers_dir=folder, **OPTIONS | {"batch_size": "auto"})
    assert [len(images) for images in net.seen[1:]] == [4, 2]  # after the trial


def other_weights(net: nn.Module) -> nn.Module:
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.limits.add_(0.01)  # type: ignore[operator]
    return other


def test_other_nets_and_other_questions_are_refused(net, flat: ImageSet, plain: Preprocessing, folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for changes, message in (
        ({"seed": 1}, "corrupted_source: 'groupnl .*, seed 0' against 'groupnl .*, seed 1'"),
        ({"variant": "imagenet"}, "variant: 'cifar' against 'imagenet'"),
        ({"data": flat.subset([0, 1, 2])}, "images: 6 against 3"),
        ({"data": flat.subset([1, 0, 2, 3, 4, 5])}, "pictures: "),
        ({"model": other_weights(net)}, "belongs to another evaluation .net: .* name another folder, or delete"),
    ):
        arguments = {"model": net, "data": flat, "preprocessing": plain, **OPTIONS, **changes}
        with pytest.raises(ValueError, match=message):
            evaluate(answers_dir=folder, **arguments)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_plain_callable_must_say_who_it_is(flat: ImageSet, plain: Preprocessing, tmp_path: Path) -> None:
    def zero(images: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(images), 3)

    options: dict[str, Any] = {"preprocessing": plain, "answers_dir": tmp_path / "a", "corruptions": ()}
    with pytest.raises(ValueError, match=r"no nn\.Module: give net_id="):
        evaluate(zero, flat, **options)
    evaluate(zero, flat, net_id="zero", **options)
    with pytest.raises(ValueError, match="net: 'zero' against 'one'"):
        evaluate(zero, flat, net_id="one", **options)


def test_a_folder_of_other_things_is_refused(net, flat: ImageSet, plain: Preprocessing, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds other files: name a new or an empty folder"):
        evaluate(net, flat, preprocessing=plain, answers_dir=tmp_path, **OPTIONS)
    with pytest.raises(ValueError, match="is a file: name a new folder"):
        evaluate(net, flat, preprocessing=plain, answers_dir=tmp_path / "notes.txt", **OPTIONS)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert net.seen == []


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def pickled(path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    path.write_bytes(buffer.getvalue())


def of_another_shape(path: Path) -> None:
    np.save(path, np.zeros(3))


@pytest.mark.parametrize("damage", [shortened, emptied, pickled, of_another_shape])
@pytest.mark.parametrize("file", ["contrast-5.npy", "labels.npy"])
def test_a_damaged_array_is_named(net, flat, plain: Preprocessing, folder: Path, damage, file: str) -> None:
    damage(folder / file)
    with pytest.raises(ValueError, match=rf"{file} (is damaged|holds float64 of shape \(3,\)).*delete it and"):
        Answers.load(folder)
    with pytest.raises(ValueError, match=file):
        evaluate(net, flat, preprocessing=plain, answers_dir=folder, **OPTIONS)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": "x"}'])
def test_damaged_words_are_named(folder: Path, content: str) -> None:
    (folder / "about.json").write_text(content)
    with pytest.raises(ValueError, match=r"about.json is damaged .*delete the folder and evaluate again"):
        Answers.load(folder)


def test_an_unfinished_or_absent_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no answers: expected a folder that groupnl evaluate --answers"):
        Answers.load(tmp_path / "absent")
    (folder / "contrast-1.npy").unlink()
    with pytest.raises(ValueError, match="not every corruption has the same severities"):
        Answers.load(folder)
    (folder / "clean.npy").unlink()
    with pytest.raises(ValueError, match="was not finished; run it again with the same folder"):
        Answers.load(folder)


def test_a_full_disk_leaves_what_was_there(
    net, flat: ImageSet, plain: Preprocessing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = answers_folder.write_atomically

    def full(path: Path, write: Any) -> None:
        if path.name == "contrast-1.npy":
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(path, write)

    monkeypatch.setattr(answers_folder, "write_atomically", full)
    with pytest.raises(OSError, match="No space left"):
        evaluate(net, flat, preprocessing=plain, answers_dir=tmp_path / "a", **OPTIONS)
    monkeypatch.undo()
    net.seen.clear()
    found = evaluate(net, flat, preprocessing=plain, answers_dir=tmp_path / "a", **OPTIONS)
    assert len(net.seen) == 4  # contrast at two severities, two batches each
    assert found == evaluate(net, flat, preprocessing=plain, **OPTIONS)


def test_the_hash_of_a_net_sees_every_weight() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(torch.bfloat16)
    before = hash_of_net(net)
    assert hash_of_net(net.eval()) == before
    for tensor in net.state_dict().values():
        tensor.view(-1)[-1] += 1
        assert hash_of_net(net) != before
        tensor.view(-1)[-1] -= 1
    assert len(json.dumps(before)) == 66
