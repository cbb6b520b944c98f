"""Ctrl-C that waits for the end of the step, so that the run can save a whole state before it stops."""

import signal
import threading
from types import FrameType, TracebackType


class InterruptGuard:
    """While it is active, the first Ctrl-C is only noted in ``requested``; the second one stops at once, as usual.

    Signals can be handled in the main thread alone: elsewhere the guard does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._active = False

    def __enter__(self) -> "InterruptGuard":
        # A handler set outside Python (None) could not be put back; a job in the background ignores Ctrl-C and shall.
        hands_off = signal.getsignal(signal.SIGINT) in (None, signal.SIG_IGN)
        if threading.current_thread() is threading.main_thread() and not hands_off:
            self._previous = signal.signal(signal.SIGINT, self._note)
            self._active = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        if self._active:
            signal.signal(signal.SIGINT, self._previous)
            self._active = False
