"""``groupnl train``: what it leaves, resuming, and refusals."""

import dataclasses
import json
import os
import subprocess
import sys

from groupnl.cli import main
from groupnl.models import load_checkpoint, read_checkpoint, save_checkpoint
from groupnl_device.preprocessing import Preprocessing


def test_a_run_leaves_a_checkpoint_that_knows_everything(checkpoint):
    info = read_checkpoint(checkpoint)
    assert info.architecture == "groupnl_resnet8"
    assert info.arguments == {"num_classes": 3, "seed": 3}
    assert info.class_names == ("blue", "green", "red")
    assert info.extra == {"name": "groupnl_resnet8", "data": "folder"}
    assert load_checkpoint(checkpoint).layer1.conv1.seed == 3


def test_the_result_as_json_and_a_finished_run_resumed(run_json, data, run_dir, short):
    result = run_json("train", "groupnl_resnet8", *data, "--out", run_dir, *short, "-m", "seed=3", "--resume")
    assert result["net"] == "groupnl_resnet8"
    assert len(result["history"]) == 2
    assert 0 <= result["test_accuracy"] <= 1


def test_a_run_folder_is_not_overwritten(data, run_dir, short, capsys):
    before = (run_dir / "model.safetensors").read_bytes()
    assert main(["train", "groupnl_resnet8", *data, "--out", str(run_dir), *short]) == 2
    assert "--resume" in capsys.readouterr().err or (run_dir / "model.safetensors").read_bytes() == before
    assert (run_dir / "model.safetensors").read_bytes() == before


def test_a_checkpoint_can_be_trained_on(run_json, data, checkpoint, short, tmp_path):
    result = run_json("train", checkpoint, *data, "--out", tmp_path / "more", *short)
    assert json.loads((tmp_path / "more" / "log.jsonl").read_text().splitlines()[-1])["epoch"] == 2
    assert result["net"] == "groupnl_resnet8"


def test_a_net_is_converted_on_the_way(run_json, data, short, tmp_path):
    options = ["--policy", "standard", "-p", "reduction=4", "-p", "seed=9"]
    result = run_json("train", "resnet8", *data, "--out", tmp_path / "run", *short, *options)
    assert result["net"] == "resnet8+standard"
    loaded = load_checkpoint(tmp_path / "run" / "model.safetensors")
    assert (loaded.layer1.conv1.reduction, loaded.layer1.conv1.seed) == (4, 9)
    assert read_checkpoint(tmp_path / "run" / "model.safetensors").conversion["policy"] == "standard"


def test_refusals(data, tmp_path, capsys):
    for arguments, message in (
        (["--optimizer", "adam"], "--optimizer adam: expected one of sgd, adamw"),
        (["--lr", "-1"], "lr=-1.0"),
        (["--batch-size", "1000"], "1000"),
    ):
        assert main(["train", "resnet8", *data, "--out", str(tmp_path / "run"), *arguments]) == 2
        assert message in capsys.readouterr().err
    assert main(["train", "resnet8", "--data", "nothing", "--out", str(tmp_path / "run")]) == 2
    assert "'nothing' is unknown" in capsys.readouterr().err


def test_two_processes_train_one_net_and_report_once(data, short, tmp_path):
    out, result = tmp_path / "run", tmp_path / "result.json"
    options = ["--standalone", "--nproc-per-node", "2", "-m", "groupnl", "train", "groupnl_resnet8"]
    command = [sys.executable, "-m", "torch.distributed.run", *options, *data, "--out", str(out), *short]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [*command, "--json", str(result)], capture_output=True, text=True, check=False, env=environment
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("test accuracy") == 1
    assert json.loads(result.read_text())["steps"] == 8
    assert (out / "model.safetensors").exists()


def test_a_net_learns_from_a_checkpoint(run_json, data, checkpoint, short, tmp_path):
    out = tmp_path / "run"
    taught = ["--teacher", checkpoint, "--task-loss-weight", "0.5", "--distill-temperature", "2"]
    run_json("train", "groupnl_resnet8", *data, "--out", out, *short, *taught)
    described = json.loads((out / "config.json").read_text())
    assert described["data"]["teacher"]["parameters"] == sum(
        p.numel() for p in load_checkpoint(checkpoint).parameters()
    )
    assert (described["config"]["task_loss_weight"], described["config"]["distill_temperature"]) == (0.5, 2.0)
    assert read_checkpoint(out / "model.safetensors").architecture == "groupnl_resnet8"


def test_a_net_learns_from_a_function_of_the_users_own(run_json, data, short, tmp_path, monkeypatch):
    (tmp_path / "my_teacher_for_test.py").write_text(
        "import torch\ndef net(): return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 3))\n"
    )
    monkeypatch.chdir(tmp_path)
    taught = ["--teacher", "my_teacher_for_test:net"]
    run_json("train", "resnet8", *data, "--out", tmp_path / "run", *short, *taught)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["data"]["teacher"]["net"] == "Sequential"


def test_teachers_that_cannot_teach(data, folder, short, checkpoint, tmp_path, capsys):
    bundle = tmp_path / "net.gnl"
    assert main(["export", str(checkpoint), "--out", str(bundle)]) == 0
    other = {name: tmp_path / f"{name}.safetensors" for name in ("classes", "mean")}
    kept, net = read_checkpoint(checkpoint), load_checkpoint(checkpoint)
    preprocessing = Preprocessing.from_dict(kept.preprocessing)
    save_checkpoint(net, other["classes"], preprocessing=preprocessing, class_names=("green", "blue", "red"))
    shifted = dataclasses.replace(preprocessing, mean=(0.5, 0.4, 0.3))
    save_checkpoint(net, other["mean"], preprocessing=shifted, class_names=kept.class_names)
    larger = ["--data", "folder", "--data-dir", str(folder), "--image-size", "20"]
    for spec, chosen, message in (
        ("resnet18", data, "--teacher resnet18: a name has random weights, expected a checkpoint, such as"),
        (bundle, data, f"--teacher {bundle} is a bundle, made for a device: expected a checkpoint"),
        ("absent.safetensors", data, "no file absent.safetensors"),
        ("no_such_module:net", data, "cannot find 'net' in module 'no_such_module'"),
        (other["classes"], data, "knows the classes green, blue, red, the data has blue, green, red: give a teacher"),
        (other["mean"], data, "was trained with mean=(0.5, 0.4, 0.3), this run has (0."),
        (
            checkpoint,
            larger,
            "was trained with input_size=(3, 16, 16), this run has (3, 20, 20): both nets see the same",
        ),
    ):
        assert main(["train", "resnet8", *chosen, "--out", str(tmp_path / "run"), *short, "--teacher", str(spec)]) == 2
        assert message in capsys.readouterr().err
    assert main(["train", "resnet8", *data, "--out", str(tmp_path / "run"), *short, "--task-loss-weight", "0.5"]) == 2
    assert "task_loss_weight=0.5 without a teacher: give one (teacher=, --teacher)" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
