"""Who may write where."""

from pathlib import Path

import pytest

from groupnl.training.folder import open_run_folder


@pytest.mark.parametrize("resume", [False, True])
def test_new_and_empty_folders_are_free(resume: bool, tmp_path: Path) -> None:
    assert open_run_folder(tmp_path, resume=resume).state == tmp_path / "state.pt"
    assert open_run_folder(str(tmp_path / "new"), resume=resume).path == tmp_path / "new"
    assert not (tmp_path / "new").exists()


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "state.pt").touch()
    with pytest.raises(ValueError, match=r"already holds a run, and runs are never overwritten: .*resume=True"):
        open_run_folder(tmp_path, resume=False)
    assert open_run_folder(tmp_path, resume=True).state.exists()


def test_other_peoples_files_are_left_alone(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"already holds other files \(a, b, c, \.\.\.\)"):
        open_run_folder(tmp_path, resume=False)
    with pytest.raises(ValueError, match=r"holds no run to resume \(state.pt is absent\) but other files \(a, b, c\)"):
        open_run_folder(tmp_path, resume=True)


def test_a_run_killed_before_its_first_state_can_be_resumed(tmp_path: Path) -> None:
    for name in ("config.json", ".state.pt.tmp"):
        (tmp_path / name).touch()
    assert open_run_folder(tmp_path, resume=True).path == tmp_path


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(ValueError, match="is a file: expected a folder"):
        open_run_folder(tmp_path / "run", resume=True)
