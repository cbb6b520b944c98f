"""What a device lacks is said in one sentence, with what to do."""

from importlib import metadata

import pytest

from groupnl_device import requirements
from groupnl_device.manifest import Artifact

PACKAGES = {"numpy": "groupnl-device[fast]"}


def artifact(**changed) -> Artifact:
    fields = {"runtime": "r", "form": "plain", "precision": "float32", "files": {"graph": "g"}, "requires": {}}
    return Artifact(**{**fields, "agreement": {}, **changed})


def test_nothing_is_missing_where_all_is_there() -> None:
    assert requirements.unmet(artifact(requires={"numpy": "1.0"}), {"graph"}, PACKAGES) is None


def test_a_missing_package_comes_with_the_command_that_installs_it() -> None:
    found = requirements.unmet(artifact(), {"graph"}, {"no-such-package": "groupnl-device[fast]"})
    assert found == 'the package no-such-package is not installed; pip install "groupnl-device[fast]"'


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"files": {"graph": "g", "code": "c"}}, "its files are code, graph, expected graph"),
        ({"requires": {"numpy": "9999.1"}}, "requires numpy 9999.1 or newer, .* is installed"),
        ({"requires": {"coprocessor": "1"}}, "requires coprocessor, which is unknown here"),
    ],
)
def test_other_obstacles(changed: dict, said: str) -> None:
    found = requirements.unmet(artifact(**changed), {"graph"}, PACKAGES)
    assert found is not None
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(found)


def test_versions() -> None:
    assert requirements.installed_version("numpy") == metadata.version("numpy")
    assert requirements.installed_version("no-such-package") is None
    assert requirements.version_numbers("1.32.0rc1") == (1, 32, 0)
    assert requirements.version_numbers("2026.4.1-22982-abc") == (2026, 4, 1)
    assert requirements.version_numbers("2.15.0+cu132") == (2, 15, 0)


def test_first_line_of_an_error() -> None:
    assert requirements.first_line(RuntimeError("\nwhat\nwhere")) == "what"
    assert requirements.first_line(RuntimeError()) == "RuntimeError"
