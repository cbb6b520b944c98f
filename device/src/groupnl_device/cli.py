"""The command ``groupnl-device``: run a bundle on pictures, measure it, keep it up to date.

Exit codes: 0 fine, 1 a result that failed, 2 bad usage or bad input (one line on stderr says what and why).
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import groupnl_device
from groupnl_device.atomic import write_atomically

_RUN_EXAMPLE = """example:
  groupnl-device run model.gnl cat.png photos/ --top 3
  groupnl-device run model.gnl photos/ --json - > answers.json"""
_BENCH_EXAMPLE = """example:
  groupnl-device bench model.gnl --threads 1 2 4 --json bench.json
  groupnl-device bench model.gnl --threads all --compare
  groupnl-device bench model.gnl --meter power.csv --energy-seconds 20"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.command(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough; keep the interpreter from flushing into the closed pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except (ValueError, OSError) as error:
        print(f"groupnl-device: {_one_line(error)}", file=sys.stderr)
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    from groupnl_device.conformance_cli import add_conformance
    from groupnl_device.delivery_cli import add_delivery

    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="groupnl-device",
        description="Run GroupNL bundles on this device, and keep them up to date.",
        epilog=f"{_RUN_EXAMPLE}\n{_BENCH_EXAMPLE.removeprefix('example:')[1:]}",
        formatter_class=raw,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {groupnl_device.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    run = commands.add_parser(
        "run", help="classify pictures", description="Classify pictures.", epilog=_RUN_EXAMPLE, formatter_class=raw
    )
    run.set_defaults(command=_run)
    run.add_argument("bundle", metavar="MODEL.gnl", help="the bundle")
    run.add_argument("pictures", metavar="PICTURE", nargs="+", type=Path, help="picture files, or folders of them")
    run.add_argument("--top", metavar="K", type=_count, default=3, help="classes shown per picture (default: 3)")

    bench = commands.add_parser(
        "bench",
        help="measure latency, throughput, cold start, memory and energy",
        description="Measure one picture at a time: latency of the net alone (reading and normalising a picture\n"
        "are not timed), cold start and peak memory in a process of its own, and energy where the\n"
        "machine or a meter tells it.",
        epilog=_BENCH_EXAMPLE,
        formatter_class=raw,
    )
    bench.set_defaults(command=_bench)
    bench.add_argument("bundle", metavar="MODEL.gnl", help="the bundle")
    bench.add_argument("--runs", metavar="R", type=_count, default=200, help="timed runs of a row (default: 200)")
    bench.add_argument("--warmup", metavar="W", type=int, default=20, help="untimed runs before (default: 20)")
    bench.add_argument(
        "--threads",
        metavar="N",
        type=_count_or_all,
        nargs="+",
        default=[1],
        help="of the runtime, one after the other; all is 1, 2, 3, 4 and on by doubling to the cores there are "
        "(default: 1)",
    )
    bench.add_argument(
        "--compare", action="store_true", help="measure every form in the bundle that runs here, in turns"
    )
    bench.add_argument(
        "--energy-seconds",
        metavar="S",
        type=float,
        default=5.0,
        help="how long to measure the power, at rest and in every row; 0: no energy (default: 5)",
    )
    bench.add_argument(
        "--meter",
        metavar="FILE.csv",
        type=Path,
        help="what an external meter logs meanwhile: columns time (s, since 1970 or of the monotonic clock), power_w",
    )
    run.add_argument("--threads", metavar="N", type=_count, default=1, help="of the runtime (default: 1)")
    for command in (run, bench):
        command.add_argument(
            "--json",
            metavar="FILE",
            help="write the result as JSON to FILE; - is stdout, which then holds nothing else",
        )
    add_delivery(commands, _write_json)
    add_conformance(commands)
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected at least 1")
    return value


def _count_or_all(text: str) -> int | str:
    if text != "all" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: expected numbers of threads, or all; the bundle goes before them")
    return text if text == "all" else _count(text)


def _run(arguments: argparse.Namespace) -> int:
    from groupnl_device.bundle import Bundle
    from groupnl_device.runtime import Session

    files = list(_picture_files(arguments.pictures))
    session = Session(Bundle.open(arguments.bundle), threads=arguments.threads)
    manifest = session.bundle.manifest
    answers = []
    for file in files:
        picture = manifest.preprocessing.load(file).transpose(2, 0, 1)[None]
        probabilities = session.predict(picture)[0]
        best = (-probabilities).argsort(kind="stable")[: arguments.top]
        answers.append(
            {
                "file": str(file),
                "top": [
                    {"class": manifest.class_names[k], "index": int(k), "probability": float(probabilities[k])}
                    for k in best
                ],
            }
        )
        if arguments.json != "-":
            shown = ", ".join(f"{manifest.class_names[k]} {probabilities[k]:.1%}" for k in best)
            print(f"{file}: {shown}")
    _write_json(arguments.json, {"model": manifest.name, "runtime": session.runtime, "pictures": answers})
    return 0


def _bench(arguments: argparse.Namespace) -> int:
    from groupnl_device.bench import bench
    from groupnl_device.bench_text import lines_of
    from groupnl_device.hardware import usable_cores
    from groupnl_device.measurement import Settings
    from groupnl_device.turns import counts_up_to

    threads = [
        number
        for given in arguments.threads
        for number in (counts_up_to(usable_cores()) if given == "all" else [given])
    ]
    settings = Settings(
        threads=tuple(dict.fromkeys(threads)),
        runs=arguments.runs,
        warmup=arguments.warmup,
        compare=arguments.compare,
        energy_seconds=arguments.energy_seconds,
    )
    result = bench(arguments.bundle, settings, power_log=arguments.meter, say=_tell)
    if arguments.json != "-":
        print("\n".join(lines_of(result)))
    _write_json(arguments.json, result.to_dict())
    return 1 if arguments.meter and any(row.energy is None for row in result.rows) else 0


def _tell(what: str) -> None:
    """What is going on, to a person who waits."""
    if sys.stderr.isatty():
        print(f"... {what}", file=sys.stderr, flush=True)


def _picture_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Files as given; of a folder, every file below it with a picture's suffix, sorted."""
    from PIL import Image

    suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in suffixes and file.is_file())
        if not found:
            raise ValueError(f"{path}: no pictures in this folder")
        yield from found


def _write_json(target: str | None, result: dict[str, Any]) -> None:
    """To stdout, or to a file that appears whole or not at all."""
    if target is None:
        return
    text = json.dumps(result, indent=2, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
        return
    write_atomically(target, lambda file: file.write(text.encode()))


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'input'}: {error.strerror}"
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
