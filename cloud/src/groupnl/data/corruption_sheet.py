"""A picture of one image under every corruption at every severity."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

# Tol's bright colours, safe for the colour-blind; one a family, in their order
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#aa3377")
_INK, _FAINT, _PAGE = "#222222", "#6b6b6b", "#f3f4f6"  # a page in which white pictures show their edges
_CELL = 96  # least side of a cell in pixels: smaller images are enlarged by a whole factor
_LARGEST = 224  # largest side of a cell


def corruption_sheet(
    clean: Tensor,
    families: Mapping[str, Mapping[str, Tensor]],
    *,
    severities: Sequence[int],
    title: str,
    notes: Sequence[str] = (),
) -> Image.Image:
    """Draw a row a corruption and a column a severity, the corruptions sorted by family, beside the clean image.

    Args:
        clean: uint8, shape (3, H, W).
        families: By family and name the corrupted images, uint8, shape (S, 3, H, W).
        severities: The S severities, for the heads of the columns.
        title: First line of the page.
        notes: Smaller lines below it.

    Returns:
        An RGB picture. Images keep their own pixels: enlarged by a whole factor to at least 96, made smaller only
        above 224.
    """
    height, width = clean.shape[1:]
    cell_w, cell_h = _cell(width, height)
    gap = max(3, cell_w // 32)
    size = max(16, cell_h // 7)  # of the letters
    font, small, head = (ImageFont.load_default(size=s) for s in (size, size - 1, round(1.7 * size)))
    longest = max(font.getlength(_words(name)) for rows in families.values() for name in rows)
    label_w, line = round(longest) + 2 * size, round(1.6 * size)
    block_w = label_w + len(severities) * (cell_w + gap)
    columns = _spread({family: len(rows) for family, rows in families.items()})
    margin, top = 2 * size, 2 * size + cell_h + 2 * line
    rows_high = max(sum(len(families[family]) * (cell_h + gap) + 2 * line for family in column) for column in columns)
    page_w = 2 * margin + len(columns) * block_w + (len(columns) - 1) * 2 * margin
    sheet = Image.new("RGB", (page_w, top + rows_high + margin - line), _PAGE)
    pen = ImageDraw.Draw(sheet)

    sheet.paste(_picture(clean, cell_w, cell_h), (margin, margin))
    pen.text((margin, margin + cell_h + line / 2), "clean", fill=_FAINT, font=small, anchor="lm")
    pen.text((margin + cell_w + size, margin), title, fill=_INK, font=head, anchor="la")
    for number, note in enumerate(notes):
        below = margin + round(2.1 * size) + (number + 0.6) * line
        pen.text((margin + cell_w + size, below), note, fill=_FAINT, font=small, anchor="lm")

    colours = dict(zip(families, _COLOURS, strict=False))
    for number, column in enumerate(columns):
        left = margin + number * (block_w + 2 * margin)
        y = top
        for family in column:
            colour = colours.get(family, _FAINT)
            pen.text((left, y + line / 2), family, fill=colour, font=font, anchor="lm")
            for place, severity in enumerate(severities):
                middle = left + label_w + place * (cell_w + gap) + cell_w / 2
                pen.text((middle, y + line / 2), str(severity), fill=_FAINT, font=small, anchor="mm")
            y += line
            pen.line((left, y - 3, left + block_w - gap, y - 3), fill=colour, width=2)
            for name, images in families[family].items():
                pen.text((left, y + gap + cell_h / 2), _words(name), fill=_INK, font=font, anchor="lm")
                for place, image in enumerate(images):
                    sheet.paste(_picture(image, cell_w, cell_h), (left + label_w + place * (cell_w + gap), y + gap))
                y += cell_h + gap
            y += line
    return sheet


def _cell(width: int, height: int) -> tuple[int, int]:
    """Width and height of a cell."""
    factor = -(-_CELL // min(width, height)) if min(width, height) < _CELL else min(1.0, _LARGEST / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def _spread(rows: Mapping[str, int]) -> list[list[str]]:
    """Families in two columns of about equal height, in their order."""
    names = list(rows)
    cuts = range(1, len(names)) if len(names) > 1 else range(1, 2)
    best = min(cuts, key=lambda cut: abs(sum(rows[n] for n in names[:cut]) - sum(rows[n] for n in names[cut:])))
    return [column for column in (names[:best], names[best:]) if column]


def _picture(image: Tensor, width: int, height: int) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy()))
    if picture.size == (width, height):
        return picture
    enlarged = width >= picture.width
    return picture.resize((width, height), Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS)


def _words(name: str) -> str:
    return name.replace("_", " ")
