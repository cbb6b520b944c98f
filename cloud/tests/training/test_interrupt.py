"""The first Ctrl-C is noted, the second stops."""

import signal
import threading

import pytest

from groupnl.training.interrupt import InterruptGuard


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
