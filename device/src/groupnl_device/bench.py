"""Measures a bundle on this device: single stream as in MLPerf Tiny, one picture at a time, the median."""

import hashlib
import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import groupnl_device
from groupnl_device.bundle import Bundle
from groupnl_device.cold_start import ColdStart, measure
from groupnl_device.energy import AtRest, Energy, measure_at_rest, measure_energy
from groupnl_device.errors import BundleError
from groupnl_device.hardware import hardware
from groupnl_device.latency import summarize
from groupnl_device.measurement import Measurement, Row, Settings
from groupnl_device.noise import noise
from groupnl_device.power import MeterError
from groupnl_device.runtime import Session, choose, obstacle_to
from groupnl_device.turns import Case, time_in_turns

Say = Callable[[str], object]


def bench(
    path: str | Path, settings: Settings | None = None, *, power_log: Path | None = None, say: Say = lambda _: None
) -> Measurement:
    """Measure a bundle.

    Args:
        path: The bundle.
        settings: How.
        power_log: File of an external meter, see :class:`groupnl_device.power_log.PowerLog`.
        say: Told what is measured now.

    Raises:
        ValueError: The meter's file cannot be used.
        BundleError: The bundle cannot be run.
        OSError: A file cannot be opened.
    """
    settings = settings or Settings()
    if power_log is not None and not settings.energy_seconds:
        raise ValueError("a meter's file is given, but energy_seconds=0: leave one of them out")
    bundle = Bundle.open(path)
    places, left_out = _artifacts(bundle, compare=settings.compare)
    at_rest, no_energy = _at_rest(settings.energy_seconds, power_log, say)
    cases = [Case(place, threads) for place in places for threads in settings.threads]
    starts = _cold_starts(path, bundle, cases, left_out, say)
    cases = list(starts)
    images = noise(bundle.manifest)
    say(f"latency, {len(cases)} {'case' if len(cases) == 1 else 'cases in turns'}")
    times = time_in_turns(bundle, cases, images, runs=settings.runs, warmup=settings.warmup)
    latencies = [summarize(blocks, batch=images.shape[0]) for blocks in times]
    energies: list[tuple[Energy | None, str | None]] = [(None, no_energy)] * len(cases)
    if at_rest is not None:
        energies = [_energy(bundle, case, images, at_rest, settings, say) for case in cases]
    rows: list[Row] = []
    for case, latency, (energy, reason) in zip(cases, latencies, energies, strict=True):
        runtime, artifact = choose(bundle, [bundle.manifest.artifacts[case.artifact]])
        first = next(other for one, other in zip(cases, latencies, strict=True) if one.threads == case.threads)
        rows.append(
            Row(
                artifact=artifact.label,
                runtime=f"{runtime.name} {runtime.version()}",
                threads=case.threads,
                latency=latency,
                ratio_to_first=latency.latency_ms_median / first.latency_ms_median,
                start=starts[case],
                energy=energy,
                energy_reason=reason,
            )
        )
    machine = hardware()
    return Measurement(
        model=bundle.manifest.name,
        model_bytes=bundle.size_bytes,
        manifest_sha256=hashlib.sha256(bundle.manifest.to_json()).hexdigest(),
        settings=settings,
        rows=tuple(rows),
        left_out=left_out,
        at_rest=at_rest,
        notes=tuple(_notes(rows, settings, int(machine["usable_cores"]))),
        hardware=machine,
        versions={
            "groupnl-device": groupnl_device.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "runtime": rows[0].runtime,
        },
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
    )


def _artifacts(bundle: Bundle, *, compare: bool) -> tuple[list[int], dict[str, str]]:
    """Places of what is measured, and of the others the label and what stands in the way.

    Raises:
        NoRunnableArtifactError: Nothing runs here.
        BundleError: Nothing loads here.
    """
    artifacts = bundle.manifest.artifacts
    if not compare:
        chosen = Session(bundle).artifact  # the first that loads, as run takes it
        return [next(place for place, artifact in enumerate(artifacts) if artifact is chosen)], {}
    choose(bundle)
    obstacles = [obstacle_to(artifact) for artifact in artifacts]
    pairs = zip(artifacts, obstacles, strict=True)
    left_out = {artifact.label: obstacle for artifact, obstacle in pairs if obstacle is not None}
    return [place for place, obstacle in enumerate(obstacles) if obstacle is None], left_out


def _cold_starts(
    path: str | Path, bundle: Bundle, cases: Sequence[Case], left_out: dict[str, str], say: Say
) -> dict[Case, ColdStart]:
    """The cold start of every case that loads; a comparison goes on without the others, which ``left_out`` then names.

    Raises:
        BundleError: None loads.
    """
    starts: dict[Case, ColdStart] = {}
    for case in cases:
        say(f"cold start, {_words(bundle, case)}")
        try:
            starts[case] = measure(path, threads=case.threads, artifact=case.artifact)
        except BundleError as error:
            if len({case.artifact for case in cases}) == 1:
                raise
            left_out[bundle.manifest.artifacts[case.artifact].label] = str(error)
    if not starts:
        raise BundleError(f"no form loads here ({'; '.join(left_out.values())})")
    return starts


def _at_rest(seconds: float, power_log: Path | None, say: Say) -> tuple[AtRest | None, str | None]:
    """The meter and the power at rest, or why there is none.

    Raises:
        ValueError: A meter's file was given and does not tell.
    """
    if not seconds:
        return None, "not measured, as asked (energy_seconds=0)"
    say(f"power at rest, {seconds:g} s")
    try:
        return measure_at_rest(seconds, power_log), None
    except MeterError as error:
        if power_log is not None:
            raise ValueError(str(error)) from error
        return None, str(error)


def _energy(
    bundle: Bundle, case: Case, images: NDArray[np.float32], at_rest: AtRest, settings: Settings, say: Say
) -> tuple[Energy | None, str | None]:
    """The energy, or why it cannot be told: what was measured before is worth keeping."""
    say(f"energy, {_words(bundle, case)}")
    session = case.load(bundle)
    for _ in range(settings.warmup):
        session.logits(images)
    try:
        return measure_energy(at_rest, lambda: session.logits(images), settings.energy_seconds), None
    except MeterError as error:
        return None, str(error)


def _notes(rows: Sequence[Row], settings: Settings, cores: int) -> list[str]:
    notes = []
    if noisy := [row for row in rows if row.latency.is_noisy]:
        which = "; ".join(f"{_row_words(row)} ({row.latency.latency_spread:.0%})" for row in noisy)
        notes.append(
            f"noisy, the medians of repeated blocks lie far apart: {which}. A smaller difference than that means "
            "nothing; close other programs, let the device cool, use more runs"
        )
    notes += [
        f"{_row_words(row)}: not more power than at rest, so the energy is below what this meter can tell"
        for row in rows
        if row.energy is not None and row.energy.energy_mj <= 0
    ]
    if settings.runs < 100:
        notes.append(f"p99 of {settings.runs} runs is the slowest run: use 100 runs or more")
    if max(settings.threads) > cores:
        notes.append(f"{max(settings.threads)} threads on {cores} usable core{'s' if cores > 1 else ''}")
    return notes


def _words(bundle: Bundle, case: Case) -> str:
    return f"{bundle.manifest.artifacts[case.artifact].label}, threads {case.threads}"


def _row_words(row: Row) -> str:
    return f"{row.artifact}, {row.threads} thread{'s' if row.threads > 1 else ''}"
