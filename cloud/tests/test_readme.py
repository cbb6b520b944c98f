"""The README's example runs as it stands, and its figures follow from the committed JSON."""

import json
import re
from pathlib import Path

import pytest

from benchmarks import readme, zoo
from groupnl.models import ZOO

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_follows_from_the_committed_figures():
    results = json.loads((ROOT / "results" / "demo.json").read_text(encoding="utf-8"))
    assert readme.written(TEXT, results) == TEXT


def test_a_readme_without_its_marks_is_refused():
    results = json.loads((ROOT / "results" / "demo.json").read_text(encoding="utf-8"))
    with pytest.raises(ValueError, match="expected the marks"):
        readme.written("no marks", results)


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(example.splitlines()) <= 18
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    assert "replaced 4 convolutions" in capsys.readouterr().out
    assert (tmp_path / "icons.gnl").stat().st_size > 100_000
    assert (tmp_path / "runs" / "first" / "log.jsonl").exists()


@pytest.mark.parametrize("page", ["evaluation.md", "corruptions.md"])
def test_the_examples_of_a_page_run(page, tmp_path, monkeypatch):
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)
    assert examples
    monkeypatch.chdir(tmp_path)
    exec(compile("\n".join(examples), page, "exec"), {})


def test_every_file_that_the_pages_point_to_exists():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_zoo_table_follows_from_its_committed_figures():
    results = json.loads((ROOT / "results" / "zoo.json").read_text(encoding="utf-8"))
    assert zoo.page(results) == (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")
    assert set(ZOO) <= {net["name"] for net in results["nets"]}
