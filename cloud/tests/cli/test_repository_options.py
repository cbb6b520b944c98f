"""Where passphrases come from, and options of the form ROLE=VALUE."""

import pytest

from groupnl.cli.repository_options import Passphrases, by_role, whole_number


def asking(answers, asked):
    def ask(question, twice):
        asked.append((question, twice))
        return answers.pop(0)

    return ask


def test_from_the_environment():
    secrets = Passphrases({"GROUPNL_PASSPHRASE": "horse", "GROUPNL_PIN": "1234"}, is_terminal=False)
    assert secrets("passphrase", "targets-1") == secrets("new passphrase", "root-1") == "horse"
    assert secrets("pin", "targets-1") == "1234"
    apart = Passphrases({"GROUPNL_PASSPHRASE": "horse", "GROUPNL_ROOT_PASSPHRASE": "mule"})
    assert (apart("passphrase", "root-2"), apart("passphrase", "snapshot-1")) == ("mule", "horse")


def test_asked_for_once_each():
    asked = []
    secrets = Passphrases({}, asking(["mule", "horse", "1234"], asked), is_terminal=True)
    assert secrets("new passphrase", "root-1") == secrets("passphrase", "root-1") == "mule"
    assert secrets("passphrase", "targets-1") == secrets("passphrase", "timestamp-1") == "horse"
    assert secrets("pin", "hsm:2") == "1234"
    assert asked == [
        ("passphrase of the root's keys", True),
        ("passphrase of the keys for publishing", False),
        ("pin for hsm:2", False),
    ]


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("passphrase", "targets-1", "passphrase of the keys for publishing: .*; set GROUPNL_PASSPHRASE"),
        ("pin", "targets-1", "pin for targets-1: there is no terminal to ask at; set GROUPNL_PIN"),
    ],
)
def test_nobody_to_ask(kind, name, told):
    with pytest.raises(ValueError, match=told):
        Passphrases({}, is_terminal=False)(kind, name)


def test_roles():
    assert by_role(["root=2/3", "targets=a=b"], "--x") == [("root", "2/3"), ("targets", "a=b")]
    assert by_role(None, "--x") == []
    for wrong in ("root", "root=", "mirror=1"):
        with pytest.raises(ValueError, match=rf"--x {wrong}: expected ROLE=VALUE with one of the roles root, targets"):
            by_role([wrong], "--x")


def test_numbers():
    assert whole_number("12", "--days root") == 12
    for wrong in ("", "-1", "1.5", "x"):
        with pytest.raises(ValueError, match=r"--days root: .* is no whole number"):
            whole_number(wrong, "--days root")
