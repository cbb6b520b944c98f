"""``groupnl report``: the demo's page, the page that compares nets, pictures alone, and what is refused."""

import json

import pytest
import torch
from torch import nn

from groupnl.cli import main
from groupnl.data import ImageSet
from groupnl.evaluation import evaluate, summarize_seeds
from groupnl_device.preprocessing import Preprocessing

NET = {
    "params": 1,
    "macs": 1,
    "clean_accuracy": 1.0,
    "mean_error": 0.5,
    "corruptions": {"fog": {"error": 0.5, "severities": {"1": 0.5}}},
    "train_seconds": 1,
    "bundle_bytes": 1,
    "latency_ms_median": 0.1,
    "agreement": 1.0,
}
RESULTS = {"nets": {"a": NET, "b": NET}, "baseline": "a", "test_images": 10}


class Threshold(nn.Module):
    """Tells dark from bright pictures, at a limit of its own."""

    def __init__(self, limit):
        super().__init__()
        self.limit = nn.Parameter(torch.tensor(limit))

    def forward(self, images):
        level = images.mean((1, 2, 3))
        return torch.stack((self.limit - level, level - self.limit), 1)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """vanilla.json and light.json, evaluations of two nets that differ a little, and their answers beside them."""
    folder = tmp_path_factory.mktemp("measured")
    levels = torch.linspace(10, 245, 24).to(torch.uint8)
    images = ImageSet(
        name="levels",
        split="test",
        images=levels.reshape(-1, 1, 1, 1).expand(-1, 3, 8, 8).clone(),
        labels=(levels > 127).long(),
        class_names=("dark", "bright"),
        horizontal_flip=True,
    )
    plain = Preprocessing(input_size=(3, 8, 8), mean=(0.0,) * 3, std=(1.0,) * 3)
    for name, limit in (("vanilla", 0.7), ("light", 0.55)):
        found = evaluate(
            Threshold(limit),
            images,
            preprocessing=plain,
            corruptions=("gaussian_noise", "brightness", "contrast"),
            severities=(1, 5),
            answers_dir=folder / name,
            name=name,
        )
        (folder / f"{name}.json").write_text(json.dumps(found.to_dict()))
        seeds = {"name": name, "evaluations": [found.to_dict()] * 2, "summary": summarize_seeds([found] * 2).to_dict()}
        (folder / f"{name}-seeds.json").write_text(json.dumps(seeds))
    return folder


def refused(capsys, *arguments):
    """What a command says that exits with 2."""
    capsys.readouterr()
    assert main(["report", *map(str, arguments)]) == 2
    return capsys.readouterr().err


def test_a_page_from_the_demos_figures(run_json, tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    page = tmp_path / "page.html"
    assert run_json("report", tmp_path / "results.json", "--out", page, "--title", "A & B") == {"page": str(page)}
    assert "<h1>A &amp; B</h1>" in page.read_text()


def test_nets_are_compared_image_by_image(run_json, measured, tmp_path):
    page = tmp_path / "page.html"
    files = measured / "vanilla.json", measured / "light.json"
    said = run_json("report", *files, "--answers", measured / "vanilla", "--answers", measured / "light", "--out", page)
    assert said["page"] == str(page)
    assert (said["nets"], said["notes"]) == (["vanilla", "light"], [])
    vanilla, light = (json.loads(file.read_text()) for file in files)
    found = said["comparisons"]["light"]
    assert (found["first"], found["second"]) == ("light", "vanilla")
    assert found["clean"]["difference"] == pytest.approx(light["clean_accuracy"] - vanilla["clean_accuracy"])
    assert found["clean"]["difference"] > 0
    assert found["corrupted"]["difference"] == pytest.approx(light["mean_error"] - vanilla["mean_error"])
    words = page.read_text()
    assert "Image by image, against vanilla" in words
    assert "24 images of levels" in words


def test_pictures_alone(run_json, measured, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures = "--radar", "radar.png", "--curves", "curves.svg"
    said = run_json("report", measured / "vanilla.json", measured / "light.json", *pictures)
    assert (said["radar"], said["curves"]) == ("radar.png", "curves.svg")
    assert "page" not in said
    assert (tmp_path / "radar.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "curves.svg").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.svg", "radar.png"]


def test_without_options_the_page_is_report_html(run_json, measured, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_json("report", measured / "light.json")["page"] == "report.html"
    assert (tmp_path / "report.html").exists()


def test_nets_of_one_name_are_told_apart_by_their_files(run_json, measured, tmp_path):
    other = tmp_path / "other.json"
    other.write_text((measured / "light.json").read_text())
    said = run_json("report", measured / "light.json", other, "--out", tmp_path / "page.html")
    assert said["nets"] == ["light (light)", "light (other)"]


def test_nets_of_one_name_and_file_name_are_told_apart_by_their_folders(run_json, measured, tmp_path):
    for folder in ("plain/seed0", "plain/seed1", "augmix/seed0"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.json").write_text((measured / "light.json").read_text())
    page = ("--out", tmp_path / "page.html")
    said = run_json("report", tmp_path / "plain/seed0/x.json", tmp_path / "augmix/seed0/x.json", *page)
    assert said["nets"] == ["light (plain)", "light (augmix)"]
    said = run_json("report", tmp_path / "plain/seed0/x.json", tmp_path / "plain/seed1/x.json", *page)
    assert said["nets"] == ["light (seed0)", "light (seed1)"]
    said = run_json("report", tmp_path / "plain/seed1/x.json", tmp_path / "augmix/seed0/x.json", *page)
    assert said["nets"] == ["light (plain/seed1)", "light (augmix/seed0)"]


def test_nets_have_the_names_that_are_given(run_json, measured, tmp_path):
    nets = measured / "vanilla.json", measured / "light.json"
    names = "--name", "A", "--name", "B <b>"
    folders = "--answers", measured / "vanilla", "--answers", measured / "light"
    said = run_json("report", *nets, *names, *folders, "--out", tmp_path / "page.html")
    assert said["nets"] == ["A", "B <b>"]
    assert list(said["comparisons"]) == ["B <b>"]
    words = (tmp_path / "page.html").read_text()
    assert "Image by image, against A" in words
    assert "B &lt;b&gt;" in words
    assert "vanilla" not in words


def test_training_seeds_and_training_results(run_json, measured, tmp_path):
    run = tmp_path / "icons" / "result.json"
    run.parent.mkdir()
    gap = {"train_accuracy": 0.8, "train_set_accuracy": 0.95, "test_accuracy": 0.9, "train_minus_test": 0.05}
    run.write_text(json.dumps({"epochs": 3, "train_seconds": 4.0, "history": [], **gap}))
    page = tmp_path / "page.html"
    said = run_json("report", measured / "vanilla-seeds.json", measured / "light.json", run, "--out", page)
    assert said["nets"] == ["vanilla", "light"]
    assert "one training run (light)" in said["notes"][0]
    assert "2 training runs (vanilla)" in said["notes"][0]
    assert "icons" in page.read_text()
    assert "+5.0" in page.read_text()


def test_demo_refusals(tmp_path, capsys):
    file, page = tmp_path / "results.json", tmp_path / "page.html"
    for content, message in (
        ("{", "is no JSON"),
        ("[]", "expected an object"),
        ('{"nets": {}}', "expected 'nets'"),
        (json.dumps({**RESULTS, "pictures": {"x": "../secret.png"}}), "expected the name of a file beside the results"),
        (json.dumps({**RESULTS, "pictures": {"x": "absent.png"}}), "absent.png"),
    ):
        file.write_text(content)
        assert message in refused(capsys, file, "--out", page)
        assert not page.exists()
    file.write_text(json.dumps(RESULTS))
    assert "it makes a page alone" in refused(capsys, file, file, "--out", page)
    assert "it makes a page alone" in refused(capsys, file, "--radar", tmp_path / "radar.png")


def test_refusals(measured, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    vanilla, light = measured / "vanilla.json", measured / "light.json"
    wrong = json.loads(light.read_text())
    (tmp_path / "wrong.json").write_text(json.dumps({**wrong, "mean_error": 0.5}))
    (tmp_path / "other.json").write_text(json.dumps({**wrong, "images": 25}))
    (tmp_path / "old.json").write_text(json.dumps({"name": "old", "clean_accuracy": 0.5}))
    (tmp_path / "run.json").write_text(json.dumps({"train_accuracy": 0.5, "history": []}))
    ours, theirs = ("--answers", measured / "vanilla"), ("--answers", measured / "light")
    for arguments, message in (
        (("wrong.json",), "wrong.json: evaluation: mean_error=0.5"),
        (("old.json",), "old.json: no evaluation, data, split"),
        (("run.json",), "no net to show"),
        ((vanilla, "other.json"), "they differ in number of images: 24 and 25"),
        ((vanilla, light, *ours), "1 --answers for 2 nets"),
        ((vanilla, light, "--name", "A"), "1 --name for 2 nets"),
        ((vanilla, light, "--name", "A", "--name", "A"), "two nets are called 'A'"),
        ((vanilla, light, *theirs, *ours), "do not belong to their figures"),
        ((vanilla, light, *ours, "--answers", "absent"), "absent"),
        ((measured / "vanilla-seeds.json", light, *ours, *theirs), "vanilla has several training runs"),
        ((light, "--radar", "radar.gif"), "expected a file name that ends in .png, .svg, .pdf"),
        ((light, "--curves", "absent/curves.png"), "the folder absent does not exist"),
        (("absent.json",), "absent.json"),
    ):
        assert message in refused(capsys, *arguments).replace("\n", " ")
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".json"]  # nothing was written
