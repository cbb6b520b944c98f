"""The slowest that a server may be: every byte that urllib3 reads passes a meter, headers and TLS tunnels included.

A timeout per read alone lets a server hold a device for ever with one byte now and then.
"""

import http.client
import io
import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from groupnl_device.delivery.errors import SlowError
from groupnl_device.delivery.patience import Patience

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_SHORTEST = 0.001  # seconds; 0 would make the socket non-blocking


class Pace:
    """Measures bytes against the time spent waiting for them; the device's own slowness does not count.

    Args:
        patience: Its limits.
        deadline: On the clock; nothing is waited for after it.
        clock: Seconds, never going back.
    """

    def __init__(self, patience: Patience, deadline: float, clock: Callable[[], float]) -> None:
        self._patience = patience
        self._deadline = deadline
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        """Begin a window: a new request."""
        self._waited = 0.0
        self._received = 0

    def receive(self, connection: socket.socket, buffer: "WriteableBuffer") -> int:
        """Receive what is there, or wait for it.

        Returns:
            Bytes now in ``buffer``; 0 at the end.

        Raises:
            SlowError: Too few bytes in a window, or the time for everything is over.
            OSError: The connection broke.
        """
        window = self._patience.window_seconds
        while True:
            left = self._deadline - self._clock()
            if left <= 0:
                raise SlowError(
                    f"not finished after {self._patience.total_seconds:g} s; the next pull goes on from here"
                )
            allowed = max(min(left, window - self._waited), _SHORTEST)
            connection.settimeout(allowed)
            started = self._clock()
            count: int | None
            try:
                count = connection.recv_into(buffer)
                self._received += count
                self._waited += self._clock() - started
            except TimeoutError:
                count = None
                self._waited += max(self._clock() - started, allowed)
            if self._waited >= window:
                if self._received < self._patience.least_rate * window:
                    rate = self._patience.least_rate
                    raise SlowError(
                        f"{self._received} bytes in {self._waited:.3g} s, expected {rate:g} bytes/s or more"
                    )
                self.restart()
            if count is not None:
                return count


class _PacedStream(io.RawIOBase):
    """What http.client reads from, by way of the meter.

    Args:
        held: The connection's own stream; open, it keeps the socket open.
        connection: The socket.
        pace: The meter.
    """

    def __init__(self, held: io.BufferedIOBase, connection: socket.socket, pace: Pace) -> None:
        self._held = held
        self._connection = connection
        self._pace = pace

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        return self._pace.receive(self._connection, buffer)

    def close(self) -> None:
        self._held.close()
        super().close()


class _PacedResponse(http.client.HTTPResponse):
    def __init__(self, pace: Pace, connection: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(connection, *arguments, **options)
        self.fp = io.BufferedReader(_PacedStream(self.fp, connection, pace))


def paced_pools(pace: Pace) -> dict[str, Any]:
    """Pools of connections that read by way of a meter, by the URL's scheme, for ``PoolManager``."""

    class Connection(HTTPConnection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.response_class = partial(_PacedResponse, pace)  # type: ignore[assignment]  # it is called, no more

    class SecureConnection(HTTPSConnection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.response_class = partial(_PacedResponse, pace)  # type: ignore[assignment]  # it is called, no more

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": Pool, "https": SecurePool}
