"""What the links between workers do without a net to train: plain TCP from each worker to the next, round in a ring."""

import socket
import threading
import time

import psutil
from torch import distributed

CHUNK = 1 << 20  # bytes


class Ring:
    """A TCP connection to the next worker and one from the worker before.

    Args:
        interface: Whose address the others use.
    """

    def __init__(self, interface: str) -> None:
        self._rank, self._workers = distributed.get_rank(), distributed.get_world_size()
        own = next(a.address for a in psutil.net_if_addrs()[interface] if a.family == socket.AF_INET)
        doors: list[tuple[str, int]] = [("", 0)] * self._workers
        with socket.create_server((own, 0)) as door:
            distributed.all_gather_object(doors, door.getsockname())
            self._next = socket.create_connection(doors[(self._rank + 1) % self._workers])
            self._before, _ = door.accept()
        self._next.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Hang up."""
        self._next.close()
        self._before.close()

    def transfer_seconds(self, size_bytes: int) -> float:
        """Send so much to the next worker while as much arrives from the one before, all at once."""
        distributed.barrier()
        begin = time.perf_counter()
        sender = threading.Thread(target=self._send, args=(size_bytes,))
        sender.start()
        arriving, left = bytearray(CHUNK), size_bytes
        while left:
            arrived = self._before.recv_into(arriving, min(left, CHUNK))
            if not arrived:
                raise ConnectionError("the worker before has hung up")
            left -= arrived
        sender.join()
        return time.perf_counter() - begin

    def round_trip_seconds(self) -> float:
        """A byte goes round, from the first worker over all others back to it; for the others as seen by them."""
        begin = time.perf_counter()
        if self._rank == 0:
            self._next.sendall(b".")
            self._before.recv(1)
        else:
            self._before.recv(1)
            self._next.sendall(b".")
        return time.perf_counter() - begin

    def _send(self, size_bytes: int) -> None:
        payload = memoryview(bytes(CHUNK))
        for start in range(0, size_bytes, CHUNK):
            self._next.sendall(payload[: min(CHUNK, size_bytes - start)])
