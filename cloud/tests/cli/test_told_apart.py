"""Names that several share are told apart by their files."""

from pathlib import Path

import pytest

from groupnl.cli.told_apart import told_apart


@pytest.mark.parametrize(
    ("files", "names", "expected"),
    [
        (["a.json", "b.json"], ["x", "y"], ["x", "y"]),
        (["a.json", "b.json"], ["x", "x"], ["x (a)", "x (b)"]),
        (["p/r.json", "q/r.json", "z.json"], ["x", "x", "y"], ["x (p)", "x (q)", "y"]),
        (["p/0/r.json", "q/1/r.json"], ["x", "x"], ["x (p/0)", "x (q/1)"]),
    ],
)
def test_names(files, names, expected):
    assert told_apart(list(zip(map(Path, files), names, strict=True))) == expected
