"""Times several cases of one bundle in turns, with one session alive at a time.

A runtime's threads wait for work by spinning, so a second session in the process would be measured together with the
first one's threads. And what disturbs a machine for a while, heat above all, should meet all cases alike. So each
case is loaded, warmed up and timed for a block, then the next one, and all of it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray

from groupnl_device.bundle import Bundle
from groupnl_device.runtime import Session

BLOCKS = 5


@dataclass(frozen=True)
class Case:
    """What is timed: the place of an artifact in the manifest, and the runtime's threads."""

    artifact: int
    threads: int

    def load(self, bundle: Bundle) -> Session:
        """The net, ready to run.

        Raises:
            BundleError: The artifact cannot be run.
        """
        return Session(bundle, threads=self.threads, artifact=bundle.manifest.artifacts[self.artifact])


def time_in_turns(
    bundle: Bundle, cases: Sequence[Case], images: NDArray[np.float32], *, runs: int, warmup: int
) -> list[list[list[float]]]:
    """Time every case.

    Args:
        bundle: A verified bundle.
        cases: What to time.
        images: What each run gets, normalised, shape (N, C, H, W).
        runs: Timed runs of each case, in at most 5 blocks of near-equal size.
        warmup: Untimed runs each time a case is loaded.

    Returns:
        Milliseconds: of each case, of each block, of each run.

    Raises:
        BundleError: An artifact cannot be run.
    """
    times: list[list[list[float]]] = [[] for _ in cases]
    session: Session | None = None
    loaded: Case | None = None
    for size in block_sizes(runs):
        for place, case in enumerate(cases):
            if session is None or case != loaded:
                session = None  # the threads of the last case end before this one's begin
                session, loaded = case.load(bundle), case
                for _ in range(warmup):
                    session.logits(images)
            times[place].append(_block(session, images, size))
    return times


def counts_up_to(cores: int) -> list[int]:
    """Numbers of threads worth trying: 1, 2, 3, 4, then doubling, and all cores."""
    doubling = (2**power for power in range(3, cores.bit_length()))
    return sorted({count for count in (1, 2, 3, 4, *doubling, cores) if count <= cores})


def block_sizes(runs: int) -> list[int]:
    """At most 5 near-equal parts of ``runs``; the first ones take the remainder."""
    blocks = min(BLOCKS, runs)
    return [runs // blocks + (block < runs % blocks) for block in range(blocks)]


def _block(session: Session, images: NDArray[np.float32], runs: int) -> list[float]:
    """Milliseconds of each run."""
    times = []
    for _ in range(runs):
        begin = perf_counter_ns()
        session.logits(images)
        times.append((perf_counter_ns() - begin) / 1e6)
    return times
