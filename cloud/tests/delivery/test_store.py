"""Which addresses are taken, and what a store must prove."""

from pathlib import Path

import pytest

from groupnl.delivery.store import open_store, prove_exclusive


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_folder(tmp_path: Path, form: str) -> None:
    store = open_store(form.format(tmp_path / "a site"))
    store.create("a", b"x")
    assert (tmp_path / "a site/a").read_bytes() == b"x"


def test_an_escaped_address(tmp_path: Path) -> None:
    open_store((tmp_path / "a site").as_uri()).create("a", b"x")
    assert (tmp_path / "a site/a").read_bytes() == b"x"


@pytest.mark.parametrize("url", ["http://example.org/site", "gs://bucket/site", "memory://site", "ftp://host/site"])
def test_others_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"cannot keep two publishers apart; expected a folder, s3://"):
        open_store(url)


class Careless:
    """Overwrites, as an S3 server does that does not know conditional writes."""

    where = "careless"

    def read(self, name: str) -> bytes | None:
        return None

    def create(self, name: str, content: bytes) -> bool:
        return True

    def replace(self, name: str, content: bytes) -> None:
        return None


def test_a_store_that_overwrites_is_refused() -> None:
    with pytest.raises(ValueError, match=r"careless: overwrites a file"):
        prove_exclusive(Careless())


def test_a_store_proves_itself_again_and_again(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    prove_exclusive(store)
    prove_exclusive(store)
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == [".probe"]
