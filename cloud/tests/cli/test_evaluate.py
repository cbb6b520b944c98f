"""``groupnl evaluate``."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from groupnl.cli import main
from groupnl.models import load_checkpoint

SMALL = ["--corruptions", "brightness,contrast", "--severities", "1,5"]


def test_a_checkpoint_is_measured(run_json, data, checkpoint):
    result = run_json("evaluate", checkpoint, *data, *SMALL)
    assert result["name"] == "groupnl_resnet8"
    assert result["images"] == 18
    errors = [error for found in result["corruptions"].values() for error in found["severities"].values()]
    assert len(errors) == 4
    assert result["mean_error"] == pytest.approx(sum(errors) / 4)


def test_ce_against_a_baseline(run_json, data, checkpoint, tmp_path):
    base = run_json("evaluate", "resnet8", "-m", "num_classes=3", *data, *SMALL)
    (tmp_path / "base.json").write_text(json.dumps(base))
    result = run_json("evaluate", checkpoint, *data, *SMALL, "--baseline", tmp_path / "base.json")
    assert result["baseline"] == "resnet8"
    ours, theirs = result["corruptions"]["contrast"], base["corruptions"]["contrast"]
    expected = sum(ours["severities"].values()) / sum(theirs["severities"].values())
    assert ours["ce"] == pytest.approx(expected)


def test_a_bundle_gives_what_its_checkpoint_gives(run_json, data, checkpoint, tmp_path):
    run_json("export", checkpoint, "--out", tmp_path / "net.gnl")
    bundle = run_json("evaluate", tmp_path / "net.gnl", *data, *SMALL)
    expected = run_json("evaluate", checkpoint, *data, *SMALL)
    for corruption, found in expected["corruptions"].items():
        assert bundle["corruptions"][corruption]["severities"] == found["severities"]
        assert bundle["corruptions"][corruption]["ece"] == pytest.approx(found["ece"], abs=1e-4)


def test_clean_only(run_json, data, checkpoint):
    result = run_json("evaluate", checkpoint, *data, "--corruptions", "none")
    assert result["mean_error"] is None
    assert result["corruptions"] == {}


def test_training_seeds_are_summarised(run_json, data, checkpoint, tmp_path):
    result = run_json("evaluate", checkpoint, checkpoint, *data, *SMALL, "--answers", tmp_path / "answers")
    assert result["name"] == "groupnl_resnet8"
    assert result["evaluations"][0] == result["evaluations"][1]
    accuracy = result["evaluations"][0]["clean_accuracy"]
    assert result["summary"]["seeds"] == 2
    assert result["summary"]["clean_accuracy"]["mean"] == pytest.approx(accuracy)
    assert result["summary"]["clean_accuracy"]["interval"] == pytest.approx([accuracy, accuracy])
    assert sorted(path.name for path in (tmp_path / "answers").iterdir()) == ["1", "2"]


def test_training_seeds_are_a_baseline(run_json, data, checkpoint, tmp_path):
    untrained = run_json("evaluate", "resnet8", "resnet8", "-m", "num_classes=3", *data, *SMALL)
    (tmp_path / "seeds.json").write_text(json.dumps(untrained))
    found = run_json("evaluate", checkpoint, *data, *SMALL, "--baseline", tmp_path / "seeds.json")
    theirs = [one["corruptions"]["contrast"]["error"] for one in untrained["evaluations"]]
    ours = found["corruptions"]["contrast"]
    assert ours["ce"] == pytest.approx(ours["error"] / np.mean(theirs))


def test_other_nets_are_no_training_seeds(data, checkpoint, capsys):
    assert main(["evaluate", str(checkpoint), "resnet8", "-m", "num_classes=3", *data, *SMALL]) == 2
    assert "options ['num_classes'] with the file" in capsys.readouterr().err
    assert main(["evaluate", str(checkpoint), "resnet8", *data, *SMALL, "--corruptions", "none"]) == 2
    assert "resnet8 is resnet8," in capsys.readouterr().err


def test_an_evaluation_with_answers_goes_on_and_is_compared(run_json, data, checkpoint, folder, tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    first = run_json("evaluate", checkpoint, *data, *SMALL, "--answers", ours)
    (ours / "contrast-5.npy").unlink()
    assert run_json("evaluate", checkpoint, *data, *SMALL, "--answers", ours) == first
    run_json("evaluate", "resnet8", "-m", "num_classes=3", *data, *SMALL, "--answers", theirs)
    found = run_json("compare", ours, theirs)
    assert (found["first"], found["second"], found["images"]) == ("groupnl_resnet8", "resnet8", 18)
    assert 0 < found["clean"]["p_value"] <= 1
    assert found["corrupted"]["interval"][0] <= found["corrupted"]["difference"] <= found["corrupted"]["interval"][1]


def test_compare_refuses_what_is_no_folder_of_answers(tmp_path, capsys):
    assert main(["compare", str(tmp_path), str(tmp_path)]) == 2
    assert "holds no answers: expected a folder that groupnl evaluate --answers wrote" in capsys.readouterr().err


def test_a_corrupted_copy_is_read(run_json, data, checkpoint, folder, tmp_path):
    """In ImageNet-C's layout; the corrupted pictures are the clean ones, so both errors are the same."""
    for severity in ("1", "5"):
        for path in sorted((folder / "test").rglob("*.png")):
            copy = tmp_path / "Colours-C" / "fog" / severity / path.parent.name / path.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    result = run_json("evaluate", checkpoint, *data, "--severities", "1,5", "--corrupted", tmp_path / "Colours-C")
    assert list(result["corruptions"]) == ["fog"]
    assert result["mean_error"] == pytest.approx(1 - result["clean_accuracy"])
    assert (result["corrupted_by"], result["corrupted_source"]) == ("published", "Colours-C")


def test_frost_of_the_users_own(run_json, data, checkpoint, folder):
    options = ["--corruptions", "frost", "--severities", "1", "--frost-dir", folder / "train" / "red"]
    assert run_json("evaluate", checkpoint, *data, *options)["frost_source"] is not None


def test_weights_for_a_name(run_json, data, checkpoint, tmp_path, capsys):
    state = load_checkpoint(checkpoint).state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, tmp_path / "w.safetensors")
    torch.save({"state_dict": state}, tmp_path / "w.pth")
    expected = run_json("evaluate", checkpoint, *data, "--corruptions", "none")
    named = ["groupnl_resnet8", "-m", "num_classes=3", "-m", "seed=3", *data, "--corruptions", "none"]
    for file in ("w.safetensors", "w.pth"):
        found = run_json("evaluate", *named, "--weights", tmp_path / file)
        assert found["clean_accuracy"] == expected["clean_accuracy"]
    assert main(["evaluate", *named[:-2], "--weights", str(checkpoint.parent / "log.jsonl")]) == 2
    assert "does not hold the weights of this net" in capsys.readouterr().err
    assert main(["evaluate", str(checkpoint), *data, "--weights", str(tmp_path / "w.pth")]) == 2
    assert "a file has its own; name a zoo or timm net" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "w.pth"), *data]) == 2
    assert "holds weights without a net: name their net" in capsys.readouterr().err


def test_mean_and_std_count(run_json, data, checkpoint, capsys):
    usual = run_json("evaluate", checkpoint, *data, "--corruptions", "none")
    dark = run_json("evaluate", checkpoint, *data, "--corruptions", "none", "--mean", "9,9,9", "--std", "1,1,1")
    assert dark["clean_accuracy"] < usual["clean_accuracy"] or dark["clean_ece"] != usual["clean_ece"]
    for given, message in (
        (["--mean", "0,0,0"], "--mean and --std: give both or none"),
        (["--mean", "0,a,0", "--std", "1,1,1"], "expected three numbers each"),
        (["--mean", "0,0", "--std", "1,1"], "expected 3 finite numbers"),
    ):
        assert main(["evaluate", str(checkpoint), *data, *given]) == 2
        assert message in capsys.readouterr().err


def test_two_processes_report_once_what_one_finds(run_json, data, checkpoint, tmp_path):
    options = ["--standalone", "--nproc-per-node", "2", "-m", "groupnl", "evaluate", str(checkpoint), *data, *SMALL]
    command = [sys.executable, "-m", "torch.distributed.run", *options, "--batch-size", "5", "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run([*command, "--json", "-"], capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 0, run.stderr
    alone = run_json("evaluate", checkpoint, *data, *SMALL, "--batch-size", "5")
    threads = torch.get_num_threads()
    together = json.loads(run.stdout)
    if threads > 1:  # sums in another order may move the calibration's last digits
        assert together["clean_ece"] == pytest.approx(alone["clean_ece"])
    assert together["corruptions"].keys() == alone["corruptions"].keys()
    for key in ("clean_accuracy", "mean_error", "intervals"):
        assert np.array_equal(together[key], alone[key]), key


def test_alexnet_is_a_baseline_for_imagenet_only(data, checkpoint, capsys):
    assert main(["evaluate", str(checkpoint), *data, "--baseline", "alexnet", "--corruptions", "mce15"]) == 2
    assert "AlexNet was measured on ImageNet-C, this run is on folder (3 classes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--corruptions", "rain"], "rain"),
        (["--severities", "6"], "6"),
        (["--severities", "one"], "'one' is no whole number"),
        (["--variant", "mnist"], "mnist"),
        (["--batch-size", "many"], "--batch-size: 'many' is no whole number or auto"),
        (["--batch-size", "0"], "batch_size=0: expected an integer of at least 1"),
        (["--corrupted", "absent-C"], "absent-C: no such folder"),
        (["--baseline", "absent.json"], "absent.json"),
        (["--device", "cuda:64"], "--device cuda:64: process 0 of this machine finds"),
    ],
)
def test_refusals(arguments, message, data, checkpoint, capsys):
    assert main(["evaluate", str(checkpoint), *data, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_other_classes_are_refused(checkpoint, capsys):
    assert main(["evaluate", str(checkpoint), "--data", "openicons"]) == 2
    assert "knows the classes blue, green, red" in capsys.readouterr().err
