"""HTTP for a device: proxies of the environment, IPv6, redirects, a least speed, a deadline, and nothing without bound.

Nothing that comes this way is trusted; who signed what is decided in :mod:`groupnl_device.delivery.trust`.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface
from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Timeout, make_headers
from urllib3.exceptions import HTTPError, LocationValueError, SSLError

import groupnl_device
from groupnl_device.delivery.address import check_url, redirected, shown
from groupnl_device.delivery.errors import ContentError, NetworkError, SlowError
from groupnl_device.delivery.pace import Pace, paced_pools
from groupnl_device.delivery.patience import PassingError, Patience, Tries

_PIECE = 64 * 1024  # bytes asked for at a time
_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429)  # and 500 to 599: worth another attempt
_FORGIVEN = 64 * 1024  # bytes of an unwanted answer that are read


class Reply:
    """The answer to one request, its body read piece by piece. Use it as a context manager.

    Attributes:
        status: The HTTP status.
        headers: By name, whatever the case of its letters.
    """

    def __init__(self, response: BaseHTTPResponse, url: str) -> None:
        self._response = response
        self._url = url
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self._response.close()

    def read(self, most: int = _PIECE) -> bytes:
        """Whatever has arrived of the body, at least one byte; ``b""`` at its end.

        Raises:
            PassingError: The connection broke, or ended before the length that the server announced.
            SlowError: See :class:`Pace`.
        """
        try:
            return self._response.read1(most, decode_content=False)
        except SlowError as error:
            raise SlowError(f"{shown(self._url)}: {error}") from None
        except (HTTPError, OSError) as error:
            raise PassingError(f"{shown(self._url)}: {_reason(error)}") from error

    def finish(self) -> None:
        """Read the rest where it is known to be short, so that the connection can serve again; otherwise close it."""
        rest = self._response.length_remaining
        try:
            while rest and rest <= _FORGIVEN and self.read():
                rest = self._response.length_remaining
        except NetworkError:
            rest = None
        if rest == 0:
            self._response.release_conn()
        else:
            self._response.close()


class Fetcher(FetcherInterface):
    """The device's way to its repository, for one pull; tuf's client uses it as well.

    Args:
        patience: Its limits; the time for everything runs from now.
        clock: Seconds, never going back.
        sleep: Waits that many seconds.
        chance: A number in [0, 1).
    """

    def __init__(
        self,
        patience: Patience | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._patience = patience or Patience()
        self._deadline = clock() + self._patience.total_seconds
        self._clock, self._sleep, self._chance = clock, sleep, chance
        self._pace = Pace(self._patience, self._deadline, clock)
        self._managers: dict[str | None, PoolManager] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all connections."""
        for manager in self._managers.values():
            for key in manager.pools.keys():  # noqa: SIM118  # urllib3's container has no other way
                manager.pools[key].close()  # clear() alone leaves that to the garbage collector
            manager.clear()

    def tries(self) -> Tries:
        """A new count of attempts."""
        return Tries(self._patience, self._deadline, self._clock, self._sleep, self._chance)

    def open(self, url: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Send one GET request, follow redirects, and return the answer as soon as its headers are there.

        Args:
            url: http or https.
            headers: Beside the usual ones.

        Raises:
            PassingError: No connection, or a status that asks to come back later.
            SlowError: See :class:`Pace`.
            NetworkError: Something that another attempt will not cure.
        """
        check_url(url)
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._request(url, headers or {})
            reply = Reply(response, url)
            target = response.headers.get("Location")
            if reply.status in _REDIRECTS and target:
                reply.finish()
                url = redirected(url, target)
                continue
            if reply.status in _PASSING or reply.status >= 500:
                reply.finish()
                after = _seconds(response.headers.get("Retry-After"))
                raise PassingError(f"{shown(url)}: HTTP status {reply.status}", after)
            encoding = response.headers.get("Content-Encoding", "identity")
            if reply.status < 400 and encoding.lower() != "identity":
                response.close()
                raise NetworkError(f"{shown(url)}: the server compresses what nobody asked it to compress")
            return reply
        raise NetworkError(f"{shown(url)}: more than {_MOST_REDIRECTS} redirects")

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """A whole small file, tried again after faults that may pass; tuf's client calls this.

        Raises:
            DownloadHTTPError: The server refuses; tuf takes 403 and 404 for the end of the roots.
            ContentError: Longer than ``max_length``.
            NetworkError: No attempt is left.
        """
        tries = self.tries()
        while True:
            try:
                return b"".join(self._pieces(url, max_length))
            except (PassingError, SlowError) as error:
                tries.failed(error)

    def _fetch(self, url: str) -> Iterator[bytes]:  # tuf's interface asks for it; its client only calls the above
        return self._pieces(url, None)

    def _pieces(self, url: str, most: int | None) -> Iterator[bytes]:
        with self.open(url) as reply:
            if reply.status != 200:
                reply.finish()
                raise DownloadHTTPError(f"{shown(url)}: HTTP status {reply.status}", reply.status)
            length = 0
            while piece := reply.read():
                length += len(piece)
                if most is not None and length > most:
                    raise ContentError(f"{shown(url)}: longer than {most} bytes, the most that it may have")
                yield piece

    def _request(self, url: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        parts = urlsplit(url)
        self._pace.restart()
        try:
            return self._manager(parts.scheme, parts.netloc).request(
                "GET",
                url,
                headers={"User-Agent": f"groupnl-device/{groupnl_device.__version__}", **headers},
                timeout=Timeout(connect=self._patience.connect_seconds, read=self._patience.window_seconds),
                preload_content=False,
                retries=False,
                redirect=False,
            )
        except SlowError as error:
            raise SlowError(f"{shown(url)}: {error}") from None
        except LocationValueError as error:
            raise NetworkError(f"{shown(url)}: {_reason(error)}") from error
        except SSLError as error:
            raise NetworkError(
                f"{shown(url)}: {_reason(error)}; is the clock right, and is the certificate's issuer known here?"
            ) from error
        except (HTTPError, OSError) as error:
            raise PassingError(f"{shown(url)}: {_reason(error)}") from error

    def _manager(self, scheme: str, host: str) -> PoolManager:
        """Connections for a URL: direct, or by the proxy that the environment names for it."""
        proxies = getproxies()
        proxy = None if proxy_bypass(host) else proxies.get(scheme) or proxies.get("all")
        if proxy not in self._managers:
            manager = PoolManager() if proxy is None else _proxied(proxy)
            manager.pool_classes_by_scheme = paced_pools(self._pace)
            self._managers[proxy] = manager
        return self._managers[proxy]


def _proxied(proxy: str) -> ProxyManager:
    address = proxy if "://" in proxy else f"http://{proxy}"
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https"):
        raise NetworkError(f"proxy {shown(address)}: expected http:// or https://")
    user, _, host = parts.netloc.rpartition("@")
    headers = make_headers(proxy_basic_auth=unquote(user)) if user else None
    return ProxyManager(f"{parts.scheme}://{host}", proxy_headers=headers)


def _seconds(retry_after: str | None) -> float:
    """What a ``Retry-After`` header asks for: a number of seconds, or a date."""
    if retry_after is None:
        return 0.0
    try:
        if retry_after.strip().isdecimal():
            return float(retry_after)
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def _reason(error: Exception) -> str:
    """The innermost cause of an error of urllib3, which wraps them, on one line."""
    while isinstance(cause := error.__cause__ or getattr(error, "reason", None), Exception):
        error = cause
    return " ".join(str(error).split())[:300] or type(error).__name__
