"""The first Ctrl-C is noted, the second stops."""

import signal
import threading
from collections.abc import Iterator

import pytest

from groupnl.training.interrupt import InterruptGuard


@pytest.fixture(autouse=True)
def default_handler() -> Iterator[None]:
    """As in the foreground: what a shell starts in the background ignores Ctrl-C, these tests included."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_is_noted_the_second_stops() -> None:
    with InterruptGuard() as guard:
        assert not guard.requested
        signal.raise_signal(signal.SIGINT)
        assert guard.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_callers_handler_comes_back() -> None:
    def handler(*_: object) -> None: ...

    before = signal.signal(signal.SIGINT, handler)
    try:
        with InterruptGuard():
            pass
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_ignores_ctrl_c_goes_on_ignoring_it() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with InterruptGuard() as guard:
        signal.raise_signal(signal.SIGINT)
        assert not guard.requested
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_other_threads_are_left_alone() -> None:
    failures = []

    def work() -> None:
        try:
            with InterruptGuard() as guard:
                assert not guard.requested
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not failures
