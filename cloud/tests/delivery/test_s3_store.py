"""S3 as a store: against a double with s3fs's answers and, where moto is installed, against a server of its own."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud.tests.delivery.simulated import bundle_file, secret

from groupnl.delivery import Repository, init_repository, publish
from groupnl.delivery.s3_store import S3Store
from groupnl.delivery.store import Store, open_store, prove_exclusive


class RefusedError(Exception):
    """As botocore's ClientError."""

    def __init__(self, code: str) -> None:
        self.response = {"Error": {"Code": code}}


class Double:
    """The two calls of s3fs that the store makes; ``conditional`` as the server honours If-None-Match.

    ``answers`` come first: an S3 code that refuses the next write, or ``lost`` where it is done but not confirmed.
    """

    def __init__(self, *, conditional: bool = True, answers: tuple[str, ...] = ()) -> None:
        self.objects: dict[str, bytes] = {}
        self.conditional, self.answers = conditional, list(answers)

    def cat_file(self, path: str) -> bytes:
        if path not in self.objects:
            raise FileNotFoundError(path)
        return self.objects[path]

    def pipe_file(self, path: str, content: bytes, mode: str = "overwrite") -> None:
        answer = self.answers.pop(0) if self.answers else ""
        if answer == "lost":
            self.objects[path] = content
            answer = "PreconditionFailed"  # what the repeated request then gets
        elif not answer and mode == "create" and self.conditional and path in self.objects:
            answer = "PreconditionFailed"
        if answer == "exists":
            raise FileExistsError(path)
        if answer:
            raise OSError(22, "refused") from RefusedError(answer)
        self.objects[path] = content


def test_create_read_replace() -> None:
    double = Double()
    store = S3Store(double, "bucket/folder/")
    assert store.read("a/b") is None
    assert store.create("a/b", b"1")
    assert not store.create("a/b", b"2")
    store.replace("a/b", b"3")
    assert (store.read("a/b"), store.where) == (b"3", "s3://bucket/folder")
    assert double.objects == {"bucket/folder/a/b": b"3"}


def test_a_write_whose_answer_was_lost_is_ours() -> None:
    assert S3Store(Double(answers=("lost",)), "bucket").create("a", b"1")


@pytest.mark.parametrize("answer", ["PreconditionFailed", "412", "exists"])
def test_a_name_that_is_taken(answer: str) -> None:
    double = Double(answers=(answer,))
    double.objects["bucket/a"] = b"another's"
    assert not S3Store(double, "bucket").create("a", b"1")


def test_a_busy_name_is_tried_again() -> None:
    assert S3Store(Double(answers=("ConditionalRequestConflict",) * 9), "bucket").create("a", b"1")
    with pytest.raises(OSError, match=r"s3://bucket: a is being written by others all the time"):
        S3Store(Double(answers=("ConditionalRequestConflict",) * 10), "bucket").create("a", b"1")


def test_another_refusal_is_an_error() -> None:
    with pytest.raises(OSError, match=r"refused"):
        S3Store(Double(answers=("AccessDenied",)), "bucket").create("a", b"1")


def test_what_the_library_raises_by_itself_is_an_os_error() -> None:
    class Broken(Double):
        def cat_file(self, path: str) -> bytes:
            raise RuntimeError("Unable to locate credentials")

    with pytest.raises(OSError, match=r"s3://bucket: Unable to locate credentials"):
        S3Store(Broken(), "bucket").read("a")


def test_a_server_without_conditional_writes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"s3://bucket: overwrites a file .*; use a server that can"):
        prove_exclusive(S3Store(Double(conditional=False), "bucket"))
    prove_exclusive(S3Store(Double(), "bucket"))


def test_an_address_without_a_bucket() -> None:
    with pytest.raises(ValueError, match=r"repository s3:///x: expected s3://BUCKET"):
        open_store("s3:///x")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """moto's S3 over HTTP, at a port that the kernel chose."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="fleet")
        yield "s3://fleet"
    running.stop()


def test_a_repository_on_a_server(server: str, tmp_path: Path) -> None:
    url = f"{server}/models"
    repository = init_repository(url, tmp_path / "keys", tmp_path / "root-keys", secret, encrypt=False)
    for number in (1, 2):
        publish(repository, bundle_file(tmp_path / f"{number}.gnl", number), "stable")
    state = Repository.open(url, tmp_path / "keys", secret).state()
    assert sorted(state.targets.targets) == ["stable/1/model.gnl", "stable/2/from-1.patch", "stable/2/model.gnl"]


def test_one_of_many_wins_on_a_server(server: str) -> None:
    stores: list[Store] = [open_store(f"{server}/race") for _ in range(6)]
    begin, won = threading.Barrier(len(stores)), []

    def attempt(number: int) -> None:
        begin.wait()
        if stores[number].create("metadata/2.snapshot.json", b"%d" % number * 1000):
            won.append(number)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert stores[0].read("metadata/2.snapshot.json") == b"%d" % won[0] * 1000


def test_a_bucket_that_is_not_there(server: str) -> None:
    assert os.environ["AWS_ENDPOINT_URL"]
    with pytest.raises(OSError, match=r"s3://nowhere/x: .*; make the bucket first"):
        open_store("s3://nowhere/x")
