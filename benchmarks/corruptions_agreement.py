"""How far groupnl's 19 corruptions are from the original functions, given the same draws and constants.

    pip install imagecorruptions-imaug "opencv-python-headless<4.11"
    python -m benchmarks.corruptions_agreement --data-dir DIR --json results/corruptions-agreement.json

The package holds the published functions, adapted to any picture size. Its file is run with two changes: the
constants are ours (so that CIFAR's can be checked too), and the random numbers are the draws of groupnl. Where the
package itself differs from the published generator, the row says what was put back (``restored``); where it says so,
the definition was written anew with OpenCV and SciPy. Pictures: CIFAR-10's test set for ``cifar``, crops of
scikit-image's photographs for ``imagenet``.
"""

import argparse
import functools
import importlib
from importlib import metadata
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from benchmarks.corruption_originals import PACKAGE, RESTORED, Original
from benchmarks.experiment import header, write_json
from groupnl.corruptions import CORRUPTIONS, SEVERITIES, Variant, corrupt, find_frost_photographs
from groupnl.corruptions.draws import DrawSource
from groupnl.data import load


def compare(original: Original, name: str, variant: Variant, severity: int, images: Tensor) -> dict[str, Any]:
    """Corrupt the same pictures both ways and count the differences."""
    corruption = CORRUPTIONS[name]
    constants = corruption.constants(variant, severity)
    count, *shape = images.shape
    source = DrawSource(
        seed=0, corruption=name, severity=severity, first_index=0, count=count, device=torch.device("cpu")
    )
    draws = corruption.draws(source, (shape[0], shape[1], shape[2]), constants)
    ours = corrupt(images, name, severity=severity, variant=variant, seed=0).permute(0, 2, 3, 1).numpy()
    theirs = [
        original(
            name, picture.permute(1, 2, 0).numpy(), constants, {key: draw[i].numpy() for key, draw in draws.items()}
        )
        for i, picture in enumerate(images)
    ]
    difference = np.abs(ours.astype(int) - np.stack(theirs).astype(int))
    return {
        "severity": severity,
        "max_levels": int(difference.max()),
        "share_different": float((difference > 0).mean()),
        "share_beyond_1": float((difference > 1).mean()),
    }


@functools.cache
def photographs(count: int) -> Tensor:
    """Crops of 224 x 224 from photographs that scikit-image ships, uint8 of shape (count, 3, 224, 224)."""
    data = importlib.import_module("skimage.data")
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    rng = np.random.default_rng(0)
    crops = []
    for number in range(count):
        picture = pictures[number % len(pictures)]
        top, left = (rng.integers(0, size - 224 + 1) for size in picture.shape[:2])
        crops.append(picture[top : top + 224, left : left + 224])
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()


def main() -> None:
    """Compare all 19, show and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder of CIFAR-10")
    parser.add_argument("--cifar-images", type=int, default=200)
    parser.add_argument("--imagenet-images", type=int, default=8)
    parser.add_argument("--only", nargs="+", choices=tuple(CORRUPTIONS), default=tuple(CORRUPTIONS))
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    original = Original()
    frost = find_frost_photographs()
    if frost.source != "published photographs":
        raise SystemExit(f"frost would be compared with {frost.source}: unset GROUPNL_FROST_DIR")
    small = load("cifar10", split="test", data_dir=arguments.data_dir).images[: arguments.cifar_images]
    images = {"cifar": small, "imagenet": photographs(arguments.imagenet_images)}
    rows: list[dict[str, Any]] = []
    for variant in get_args(Variant):
        for name in arguments.only:
            found = [compare(original, name, variant, severity, images[variant]) for severity in SEVERITIES]
            row = {
                "corruption": name,
                "variant": variant,
                "images": len(images[variant]),
                "max_levels": max(each["max_levels"] for each in found),
                "share_different": sum(each["share_different"] for each in found) / len(found),
                "share_beyond_1": sum(each["share_beyond_1"] for each in found) / len(found),
                "restored": RESTORED.get(name),
                "severities": found,
            }
            rows.append(row)
            print(
                f"{variant:9} {name:18} largest difference {row['max_levels']:3} levels, values that differ "
                f"{row['share_different']:.2e}, by more than 1: {row['share_beyond_1']:.2e}",
                flush=True,
            )
    if arguments.json:
        head = header(
            f"python -m benchmarks.corruptions_agreement{' --data-dir DIR' if arguments.data_dir else ''} "
            f"--cifar-images {arguments.cifar_images} --imagenet-images {arguments.imagenet_images}",
            compared_with=f"{PACKAGE} {metadata.version(PACKAGE)}",
            opencv=original.cv2.__version__,
            scikit_image=metadata.version("scikit-image"),
            scipy=metadata.version("scipy"),
            pillow=metadata.version("pillow"),
        )
        write_json(arguments.json, {**head, "rows": rows})


if __name__ == "__main__":
    main()
