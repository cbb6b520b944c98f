"""How long a device waits for its repository, and when it tries again."""

from collections.abc import Callable
from dataclasses import dataclass, fields

from groupnl_device.delivery.errors import NetworkError


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Limits of one pull.

    Attributes:
        connect_seconds: For one connection to stand, TLS included.
        least_rate: Bytes per second that must arrive on average in each window; 0: no limit.
        window_seconds: Of waiting for the network, over which the rate is taken; so the longest silence as well.
        total_seconds: For everything together; what a download lacks then comes with the next pull.
        attempts: In a row that bring no new byte.
        first_wait_seconds: Most of the wait after the first failure; twice as much after each further one.
        longest_wait_seconds: Most of any wait, whatever the server asks for.
    """

    connect_seconds: float = 10.0
    least_rate: float = 512.0  # a slow mobile line gives ten times that
    window_seconds: float = 30.0
    total_seconds: float = 2 * 3600.0
    attempts: int = 5
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 60.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("least_rate", "first_wait_seconds", "longest_wait_seconds"):
                if not value >= 0:
                    raise ValueError(f"{field.name}={value!r}: expected 0 or more")
            elif not value > 0:
                raise ValueError(f"{field.name}={value!r}: expected more than 0")


class PassingError(NetworkError):
    """A fault of the network or the server that may be over in a moment.

    Attributes:
        after_seconds: What the server asks to wait, if it does.
    """

    def __init__(self, message: str, after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class Tries:
    """Counts failures, and waits after each: up to twice as long as after the one before, by chance.

    Chance (full jitter) keeps a fleet that failed together from coming back together.

    Args:
        patience: Its limits.
        deadline: On the clock; no wait goes beyond it.
        clock: Seconds, never going back.
        sleep: Waits that many seconds.
        random: A number in [0, 1).
    """

    def __init__(
        self,
        patience: Patience,
        deadline: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        random: Callable[[], float],
    ) -> None:
        self._patience = patience
        self._deadline = deadline
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._failures = 0

    def progressed(self) -> None:
        """New bytes came: failures are counted from here."""
        self._failures = 0

    def failed(self, error: NetworkError) -> None:
        """Wait until the next attempt.

        Raises:
            NetworkError: ``error`` itself, where no attempt is left.
        """
        self._failures += 1
        if self._failures >= self._patience.attempts:
            raise error
        longest = self._patience.longest_wait_seconds
        doublings = min(self._failures - 1, 30)
        wait = self._random() * min(longest, self._patience.first_wait_seconds * 2**doublings)
        if isinstance(error, PassingError):
            wait = max(wait, min(error.after_seconds, longest))
        if self._clock() + wait >= self._deadline:
            raise error
        self._sleep(wait)
