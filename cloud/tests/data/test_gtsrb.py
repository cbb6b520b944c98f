from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from groupnl.data import load


def write(path: Path, level: int, height: int = 20, width: int = 26) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), level, np.uint8)).save(path)


def make(root: Path) -> None:
    """Write torchvision's layout with few images; the level of each tells which it is."""
    base = root / "gtsrb" / "GTSRB"
    for number, name in enumerate(["00000/00000_00000", "00000/00000_00001", "00014/00000_00000", "00042/00003_00002"]):
        write(base / "Training" / f"{name}.ppm", level=10 + number)
    (base / "Training" / "00000" / "GT-00000.csv").write_text("Filename;Width\n")
    rows = ["Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"]
    for number, label in enumerate([14, 3, 42]):
        write(base / "Final_Test" / "Images" / f"{number:05d}.ppm", level=100 + number, height=40)
        rows.append(f"{number:05d}.ppm;26;40;5;5;20;30;{label}")
    (root / "gtsrb" / "GT-final_test.csv").write_text("\n".join(rows) + "\n")


def test_reads_both_splits(tmp_path: Path) -> None:
    make(tmp_path)
    train, test = (load("gtsrb", split=split, data_dir=tmp_path) for split in ("train", "test"))
    assert train.images[:, 0, 0, 0].tolist() == [10, 11, 12, 13]
    assert train.labels.tolist() == [0, 0, 14, 42]
    assert test.images[:, 0, 0, 0].tolist() == [100, 101, 102]
    assert test.labels.tolist() == [14, 3, 42]
    assert test.images.shape == (3, 3, 32, 32)
    assert len(train.class_names) == len(set(train.class_names)) == 43
    assert (train.class_names[14], train.class_names[1], train.class_names[38]) == (
        "stop",
        "speed limit 30",
        "keep right",
    )
    assert not train.horizontal_flip
    assert load("gtsrb", split="train", data_dir=tmp_path, image_size=48).images.shape == (4, 3, 48, 48)


def test_absent_data_says_what_and_where(tmp_path: Path) -> None:
    for split in ("train", "test"):
        with pytest.raises(FileNotFoundError, match=r"GTSRB.*benchmark\.ini\.rub\.de"):
            load("gtsrb", split=split, data_dir=tmp_path)
    (tmp_path / "gtsrb" / "GTSRB" / "Training").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"no .*Training/<class>/\*\.ppm"):
        load("gtsrb", split="train", data_dir=tmp_path)


def test_damage_is_named(tmp_path: Path) -> None:
    make(tmp_path)
    base = tmp_path / "gtsrb" / "GTSRB"
    victim = base / "Training" / "00014" / "00000_00000.ppm"
    victim.write_bytes(victim.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"00014/00000_00000\.ppm: not a picture"):
        load("gtsrb", split="train", data_dir=tmp_path)
    write(base / "Training" / "00043" / "1.ppm", level=0)
    with pytest.raises(ValueError, match="class '00043'; expected 0 to 42"):
        load("gtsrb", split="train", data_dir=tmp_path)
    (base / "Final_Test" / "Images" / "00001.ppm").unlink()
    with pytest.raises(FileNotFoundError, match=r"lists 1 images that are not there, such as .*00001\.ppm"):
        load("gtsrb", split="test", data_dir=tmp_path)


@pytest.mark.parametrize("text", ["", "Filename;ClassId\n", "Filename,ClassId\n0.ppm,1\n", "Filename;ClassId\n0.ppm\n"])
def test_a_damaged_table_is_named(tmp_path: Path, text: str) -> None:
    make(tmp_path)
    (tmp_path / "gtsrb" / "GT-final_test.csv").write_text(text)
    with pytest.raises(ValueError, match=r"GT-final_test\.csv: expected columns Filename and ClassId"):
        load("gtsrb", split="test", data_dir=tmp_path)


def test_the_table_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    make(tmp_path)
    write(tmp_path / "secret.ppm", level=1)
    (tmp_path / "gtsrb" / "GT-final_test.csv").write_text("Filename;ClassId\n../../../../secret.ppm;1\n")
    with pytest.raises(FileNotFoundError, match=r"Images/secret\.ppm"):
        load("gtsrb", split="test", data_dir=tmp_path)
