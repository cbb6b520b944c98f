"""Icons-50 (Hendrycks & Dietterich, 2018): ``Icons-50/<class>/<style>_<rendition>_<subtype>.png``."""

from pathlib import Path
from typing import Literal

import torch

from groupnl.data.decode import decode_files
from groupnl.data.image_set import ImageSet
from groupnl.data.present import require
from groupnl.data.splits import held_out, style_of

PROTOCOLS = ("random", "style", "subtype", "subtype-reference")
PUBLISHED = "https://github.com/hendrycks/robustness (Icons-50)"
HELD_OUT_STYLE = "microsoft"
TEST_SHARE = 0.1  # of each class, in the random split; the authors publish none

# Source: the authors' training script (github.com/hendrycks/robustness, Icons-50), the list of subtypes to hold out.
HELD_OUT_SUBTYPES = (
    "small_airplane", "top_with_upwards_arrow_above", "soccer_ball", "duck", "hatching_chick", "crossed_swords",
    "passenger_ship", "ledger", "books", "derelict_house_building", "convenience_store", "rabbit_face",
    "cartwheel_type_6", "mantelpiece_clock", "watch", "sun_behind_cloud_with_rain", "wine_glass",
    "face_throwing_a_kiss", "e_mail_symbol", "family_man_boy", "family_man_girl", "family_man_boy_boy",
    "family_man_girl_boy", "family_man_girl_girl", "monorail", "leopard", "chequered_flag", "tulip", "womans_sandal",
    "victory_hand", "womans_hat", "broken_heart", "unified_ideograph_5408", "circled_ideograph_accept",
    "closed_lock_with_key", "open_mailbox_with_lowered_flag", "shark", "military_medal", "banknote_with_dollar_sign",
    "monkey", "crescent_moon", "mount_fuji", "mobile_phone_off", "no_smoking_symbol", "glowing_star",
    "evergreen_tree", "umbrella_with_rain_drops", "racing_car", "factory_worker", "pencil",
)  # fmt: skip
# Entries that are no subtype's whole name; they are meant to be found within one.
PARTIAL_NAMES = ("cartwheel_type_6", "sun_behind_cloud_with_rain", "unified_ideograph_5408", "factory_worker")


def load(data_dir: Path, *, split: Literal["train", "test"], protocol: str, image_size: int | None) -> ImageSet:
    """Read one split of Icons-50.

    Args:
        data_dir: Folder that holds ``Icons-50``.
        split: Which one.
        protocol: What the test set is: ``random``, a tenth of each class's images, chosen by the hash of "class/file";
            ``style``, the images of Microsoft, or ``style:S`` those of S; ``subtype``, the subtypes in the authors'
            list; ``subtype-reference``, the rule of the authors' script, by which an entry of the list counts anywhere
            in "class/file", so that the classes "books" and "monkey" are held out whole.
        image_size: Side in pixels, to which all are resized (mostly 120 as published); None is 32.

    Raises:
        FileNotFoundError: The folder is absent or empty.
        ValueError: A file is damaged (it is named) or not named as above, or an argument is out of range.
    """
    root = data_dir / "Icons-50"
    require([root], "Icons-50", PUBLISHED)
    paths = sorted(root.glob("*/*.png"))
    if not paths:
        raise FileNotFoundError(f"Icons-50: no {root}/<class>/*.png. Published at {PUBLISHED}")
    class_names = tuple(sorted({path.parent.name for path in paths}))
    tested = _test_files(paths, protocol)
    chosen = [path for path in paths if (path in tested) == (split == "test")]
    if not chosen:
        raise ValueError(f"{root}: protocol {protocol!r} leaves no image for the {split} set")
    numbers = {name: number for number, name in enumerate(class_names)}
    return ImageSet(
        name="icons50",
        split=split,
        images=decode_files(chosen, 32 if image_size is None else image_size),
        labels=torch.tensor([numbers[path.parent.name] for path in chosen]),
        class_names=class_names,
        horizontal_flip=True,  # no class depends on the direction ("arrow_directions" holds all of them)
    )


def is_held_out_subtype(subtype: str) -> bool:
    """Tell whether a subtype is in the authors' list: by its whole name, or within it for the four partial entries."""
    return subtype in HELD_OUT_SUBTYPES or any(name in subtype for name in PARTIAL_NAMES)


def _test_files(paths: list[Path], protocol: str) -> set[Path]:
    parts = {path: _parts(path) for path in paths}
    styles = sorted({style for style, _ in parts.values()})
    style = style_of(protocol, styles, HELD_OUT_STYLE)
    if style is not None:
        return {path for path in paths if parts[path][0] == style}
    if protocol == "subtype":
        return {path for path in paths if is_held_out_subtype(parts[path][1])}
    names = {path: f"{path.parent.name}/{path.name}" for path in paths}
    if protocol == "subtype-reference":
        return {path for path in paths if any(entry in names[path] for entry in HELD_OUT_SUBTYPES)}
    by_class: dict[str, list[str]] = {}
    for path in paths:
        by_class.setdefault(path.parent.name, []).append(names[path])
    tested = set().union(*(held_out(members, TEST_SHARE) for members in by_class.values()))
    return {path for path in paths if names[path] in tested}


def _parts(path: Path) -> tuple[str, str]:
    """Return style and subtype of a file name."""
    parts = path.stem.split("_", 2)
    if len(parts) != 3:
        raise ValueError(f"{path}: expected a name of the form <style>_<rendition>_<subtype>.png")
    return parts[0], parts[2]
