"""Draw OpenIcons, the dataset that is shipped inside `groupnl`, from openly licensed emoji sets.

What goes in: the packages of package.json beside this script (`npm install` fetches them), classes.json (which Unicode
subgroups make up a class), fxemoji_names.json (that set's own names in Unicode's words) and defects.json (icons found
broken by eye, left out). What comes out: one PNG atlas a class (32x32 RGB tiles, row by row), index.csv (one row a
tile, in the same order), manifest.json, ATTRIBUTION.md and the licences. The same inputs and library versions give the
same bytes.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
import resvg_py
from PIL import Image

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parents[1] / "cloud" / "src" / "groupnl" / "data" / "openicons"
STYLES = ("noto", "noto-v1", "fxemoji", "fluent-emoji-flat", "twemoji", "emojione")
SIZE = 32  # pixels a side of a picture
DRAWN = 256  # pixels a side at which an icon is rasterised before it is reduced to SIZE
COLUMNS = 16  # tiles in a row of an atlas
MAX_PER_CLASS = 300  # so that no class outweighs the others by more than about three to one
MIN_PER_CLASS = 100
TEST_SHARE = 0.2  # of the pictures (random split) and of the emoji (subtype split) of each class
MIN_INK = 0.02  # share of pixels that differ visibly (by more than 10 of 255 levels) from the white ground
NEAR = 12.0  # root-mean-square difference, in levels of 255, below which two pictures count as one

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """One icon of one set: its class, set (style), emoji (code points and Unicode name) and drawing."""

    label: str
    style: str
    code: str
    subtype: str
    svg: str


def read_json(path: Path) -> Any:
    """Return what a JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def code_key(codes: str) -> str:
    """Return code points as "1f600-200d-2642", without the variation selector that sets write or leave out."""
    return "-".join(part for part in re.split(r"[ -]", codes.lower()) if part != "fe0f")


def plain(name: str) -> str:
    """Return a name's lower-case letters and digits, the form in which names of different sets agree."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def rank(*parts: str) -> str:
    """Return a sort key that is random to the eye and the same everywhere: sha256 of the parts."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()


def is_variant(code: str, known: Iterable[str]) -> bool:
    """Tell whether an emoji is the skin-tone or gender variant of another one in `known`."""
    parts = code.split("-")
    if any("1f3fb" <= part <= "1f3ff" and len(part) == 5 for part in parts):
        return True
    if "2640" in parts[1:] or "2642" in parts[1:]:
        return True
    return len(parts) > 1 and parts[0] in ("1f468", "1f469") and "-".join(["1f9d1", *parts[1:]]) in known


class IconSet:
    """One Iconify package: its icons, and the emoji that each stands for."""

    def __init__(self, packages: Path, style: str) -> None:
        folder = packages / "@iconify-json" / style
        self.style = style
        self.data: dict[str, Any] = read_json(folder / "icons.json")
        self.chars = {code_key(code): name for code, name in read_json(folder / "chars.json").items()}
        for name in read_json(HERE / "defects.json").get(style, {}):
            del self.data["icons"][name]
        self.version: str = read_json(folder / "package.json")["version"]

    def resolve(self, name: str) -> str | None:
        """Return the icon behind a name; None for an unknown one and for a mirrored or turned copy of another icon."""
        if name in self.data["icons"]:
            return name
        alias = self.data.get("aliases", {}).get(name)
        return self.resolve(alias["parent"]) if alias is not None and set(alias) == {"parent"} else None

    def svg(self, name: str) -> str:
        """Return the icon as an SVG document whose view box is squared about the icon's centre."""
        icon = {"left": 0, "top": 0, "width": 16, "height": 16} | self.data | self.data["icons"][name]
        side = max(icon["width"], icon["height"])
        left = icon["left"] - (side - icon["width"]) / 2
        top = icon["top"] - (side - icon["height"]) / 2
        spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        frame = f'viewBox="{left:g} {top:g} {side} {side}" width="{side}" height="{side}"'
        return f"<svg {spaces} {frame}>{icon['body']}</svg>"


def emoji_names(emoji: dict[str, dict[str, str]], sets: list[IconSet]) -> dict[str, str]:
    """Map names, in plain form, to code points: Unicode's own, then those of the sets' char tables and aliases."""
    names: dict[str, str] = {}
    for code, entry in emoji.items():
        names.setdefault(plain(entry["name"]), code)
    for icons in sets:
        for code, name in icons.chars.items():
            if code in emoji:
                names.setdefault(plain(name), code)
    for icons in sets:
        for alias, target in icons.data.get("aliases", {}).items():
            code_of_parent = names.get(plain(target["parent"]))
            if code_of_parent is not None and set(target) == {"parent"}:
                names.setdefault(plain(alias), code_of_parent)
    return names


def icons_by_code(icons: IconSet, names: dict[str, str], own_names: dict[str, str]) -> dict[str, str]:
    """Map code points to one set's icons: by its char table where it has one, else by name."""
    if icons.chars:
        found = {code: icons.resolve(name) for code, name in icons.chars.items()}
    else:
        found = {}
        for name in sorted(icons.data["icons"], key=lambda name: (name not in own_names, name)):
            code = names.get(plain(own_names.get(name, name)))
            if code is not None:
                found.setdefault(code, name)
    return {code: name for code, name in found.items() if name is not None}


def class_of_emoji(emoji: dict[str, dict[str, str]], classes: dict[str, dict[str, list[str]]]) -> dict[str, str]:
    """Map code points to classes by subgroup, with the additions and removals of classes.json, variants left out."""
    of_subgroup = {subgroup: label for label, rule in classes.items() for subgroup in rule["subgroups"]}
    unknown = set(of_subgroup) - {entry["subgroup"] for entry in emoji.values()}
    listed = [name for rule in classes.values() for key in ("add", "drop") for name in rule.get(key, [])]
    unknown |= set(listed) - {entry["name"] for entry in emoji.values()}
    if unknown:
        raise SystemExit(f"classes.json: no such subgroup or emoji name in emoji.json: {', '.join(sorted(unknown))}")
    added = {name: label for label, rule in classes.items() for name in rule.get("add", [])}
    result = {}
    for code, entry in emoji.items():
        label = added.get(entry["name"], of_subgroup.get(entry["subgroup"]))
        if label is None or entry["name"] in classes[label].get("drop", []) or is_variant(code, emoji):
            continue
        result[code] = label
    return result


def collect(packages: Path, sets: list[IconSet]) -> Iterator[Picture]:
    """Yield every icon that belongs to a class, ordered by class, code points and set."""
    emoji: dict[str, dict[str, str]] = {}
    for entry in read_json(packages / "emoji.json" / "emoji.json"):
        emoji.setdefault(code_key(entry["codes"]), entry)
    names = emoji_names(emoji, sets)
    own_names: dict[str, str] = read_json(HERE / "fxemoji_names.json")
    missing = [f"{icon}: {name}" for icon, name in own_names.items() if plain(name) not in names]
    missing += [icon for icon in own_names if icon not in next(s for s in sets if s.style == "fxemoji").data["icons"]]
    if missing:
        raise SystemExit(f"fxemoji_names.json: no such icon or emoji name: {', '.join(missing)}")
    found = {icons.style: icons_by_code(icons, names, own_names if icons.style == "fxemoji" else {}) for icons in sets}
    labels = class_of_emoji(emoji, read_json(HERE / "classes.json"))
    for code, label in sorted(labels.items(), key=lambda item: (item[1], item[0])):
        for icons in sets:
            if code in found[icons.style]:
                svg = icons.svg(found[icons.style][code])
                yield Picture(label, icons.style, code, emoji[code]["name"], svg)


def draw(svg: str) -> Pixels | None:
    """Rasterise an icon on white, shape (SIZE, SIZE, 3); None where drawing fails."""
    try:
        png = resvg_py.svg_to_bytes(svg_string=svg, width=DRAWN, height=DRAWN, skip_system_fonts=True)
    except ValueError:
        return None
    with Image.open(io.BytesIO(bytes(png))) as image:
        layer = image.convert("RGBA")
    ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    picture = Image.alpha_composite(ground, layer).convert("RGB").resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def is_blank(pixels: Pixels) -> bool:
    """Tell whether hardly anything is visible on the white ground."""
    return bool((pixels.min(axis=2) < 245).mean() < MIN_INK)


def repeats(pixels: Pixels) -> npt.NDArray[np.bool_]:
    """Mark the pictures that look like an earlier one, as it is or mirrored.

    Sums of squares of 8-bit levels are whole numbers far below 2**53, so float64 products are exact in any order and
    the marks are the same on every machine.

    Args:
        pixels: Shape (N, SIZE, SIZE, 3).
    """
    limit = NEAR**2 * pixels[0].size
    flat = pixels.reshape(len(pixels), -1).astype(np.float64)
    mirrored = pixels[:, :, ::-1].reshape(len(pixels), -1).astype(np.float64)
    squares = (flat**2).sum(axis=1)
    near = []
    for start in range(0, len(flat), 512):  # a block of rows at a time, to bound memory
        block = flat[start : start + 512]
        product = np.maximum(block @ flat.T, block @ mirrored.T)
        near.append(squares[start : start + 512, None] + squares - 2 * product < limit)
    close = np.concatenate(near)
    repeated = np.zeros(len(pixels), dtype=bool)
    for i in range(1, len(pixels)):
        repeated[i] = bool((close[i, :i] & ~repeated[:i]).any())
    return repeated


def within_cap(pictures: list[Picture]) -> set[str]:
    """Return the emoji of one class to keep: whole emoji in random order until MAX_PER_CLASS pictures are reached."""
    per_code = Counter(picture.code for picture in pictures)
    kept: set[str] = set()
    total = 0
    for code in sorted(per_code, key=lambda code: rank("cap", code)):
        if total + per_code[code] <= MAX_PER_CLASS:
            kept.add(code)
            total += per_code[code]
    return kept


def held_out(keys: Iterable[str], salt: str) -> set[str]:
    """Return TEST_SHARE of the keys, chosen by hash."""
    ordered = sorted(set(keys), key=lambda key: rank(salt, key))
    return set(ordered[: round(TEST_SHARE * len(ordered))])


def write_class(folder: Path, label: str, pictures: list[Picture], pixels: Pixels) -> list[list[str]]:
    """Write one class's atlas and return its rows of the index."""
    rows = -(-len(pictures) // COLUMNS)
    tiles = np.full((rows * COLUMNS, SIZE, SIZE, 3), 255, dtype=np.uint8)
    tiles[: len(pixels)] = pixels
    atlas = tiles.reshape(rows, COLUMNS, SIZE, SIZE, 3).swapaxes(1, 2).reshape(rows * SIZE, COLUMNS * SIZE, 3)
    Image.fromarray(atlas).save(folder / f"{label}.png", optimize=True)
    random_test = held_out((f"{p.style}/{p.code}" for p in pictures), "random")
    subtype_test = held_out((p.code for p in pictures), "subtype")
    return [
        [
            label,
            p.style,
            p.subtype,
            p.code,
            "test" if f"{p.style}/{p.code}" in random_test else "train",
            "test" if p.code in subtype_test else "train",
        ]
        for p in pictures
    ]


def build(packages: Path, folder: Path) -> dict[str, Any]:
    """Write the dataset into `folder` and return its manifest."""
    sets = [IconSet(packages, style) for style in STYLES]
    candidates = list(collect(packages, sets))
    pictures, drawn = [], []
    dropped = Counter({"blank": 0, "failed": 0})
    for picture in candidates:
        pixels = draw(picture.svg)
        if pixels is None or is_blank(pixels):
            reason = "failed" if pixels is None else "blank"
            dropped[reason] += 1
            print(f"dropped ({reason}): {picture.style} {picture.subtype}", file=sys.stderr)
            continue
        pictures.append(picture)
        drawn.append(pixels)
    repeated = repeats(np.stack(drawn))
    dropped["repeated"] = int(repeated.sum())
    index, counts = [], {}
    for label in sorted({picture.label for picture in pictures}):
        mine = [i for i, picture in enumerate(pictures) if picture.label == label and not repeated[i]]
        codes = within_cap([pictures[i] for i in mine])
        kept = [i for i in mine if pictures[i].code in codes]
        dropped["beyond the cap"] += len(mine) - len(kept)
        if len(kept) < MIN_PER_CLASS:
            raise SystemExit(f"class {label} has {len(kept)} pictures, fewer than {MIN_PER_CLASS}: see classes.json")
        index += write_class(folder, label, [pictures[i] for i in kept], np.stack([drawn[i] for i in kept]))
        counts[label] = len(kept)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["class", "style", "subtype", "code", "random", "by_subtype"])
    writer.writerows(index)
    (folder / "index.csv").write_text(text.getvalue(), encoding="utf-8")
    versions = {icons.style: icons.version for icons in sets}
    attribution = (HERE / "ATTRIBUTION.md.in").read_text(encoding="utf-8")
    for style, version in versions.items():
        attribution = attribution.replace(f"@{style}@", version)
    (folder / "ATTRIBUTION.md").write_text(attribution, encoding="utf-8")
    for licence in sorted((HERE / "licenses").iterdir()):
        shutil.copyfile(licence, folder / licence.name)
    manifest = {
        "format": 1,
        "size": SIZE,
        "columns": COLUMNS,
        "images": len(index),
        "classes": counts,
        "dropped": dict(sorted(dropped.items())),
        "sources": versions | {"emoji.json": read_json(packages / "emoji.json" / "package.json")["version"]},
        "made_with": {"numpy": np.__version__, "pillow": PIL.__version__, "resvg_py": resvg_py.__version__},
        "sha256": {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.iterdir())
            if path.suffix in (".png", ".csv")
        },
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return manifest


def main() -> None:
    """Build into a temporary folder, then put it in place of the old one."""
    parser = argparse.ArgumentParser(description="Draw OpenIcons from the icon sets in package.json.")
    parser.add_argument(
        "--packages", type=Path, default=HERE / "node_modules", help="default: node_modules beside this script"
    )
    parser.add_argument("--output", type=Path, default=OUTPUT, help="default: where the groupnl package reads it")
    args = parser.parse_args()
    if not (args.packages / "emoji.json" / "emoji.json").is_file():
        parser.error(f"{args.packages}: no emoji.json in it; run `npm install` in {HERE} first, or give --packages")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.output.parent, prefix=".openicons-") as work:
        folder = Path(work) / "new"
        folder.mkdir()
        manifest = build(args.packages, folder)
        if args.output.exists():
            args.output.rename(Path(work) / "old")
        folder.rename(args.output)
    print(json.dumps({key: manifest[key] for key in ("images", "classes", "dropped")}, indent=1))


if __name__ == "__main__":
    main()
