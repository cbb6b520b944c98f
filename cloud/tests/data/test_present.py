from pathlib import Path

import pytest

from groupnl.data.present import require


def test_names_the_first_absent_counts_the_others_and_lists_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    require([tmp_path / "a"], "Made", "https://example.org")
    expected = (
        r"Made: .*/b is not there \(and 1 more\)\. Expected under data_dir: .*/a, .*/b, .*/c\. Published at https"
    )
    with pytest.raises(FileNotFoundError, match=expected):
        require([tmp_path / name for name in "abc"], "Made", "https://example.org")
