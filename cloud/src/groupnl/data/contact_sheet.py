"""A picture of a dataset: a row a class."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from groupnl.data.image_set import ImageSet


def contact_sheet(image_set: ImageSet, per_class: int = 24) -> Image.Image:
    """Draw the first images of every class, each class in a row behind its name.

    Args:
        image_set: On any device.
        per_class: Images a row, at least 1; they are taken at even steps through the class.

    Returns:
        An RGB picture; images in their own size, 2 pixels apart.

    Raises:
        ValueError: ``per_class`` is less than 1.
    """
    if per_class < 1:
        raise ValueError(f"per_class={per_class}: expected at least 1")
    height, width = image_set.images.shape[2:]
    font = ImageFont.load_default(size=min(14, max(8, height // 2)))
    texts = [f"{name}  {int((image_set.labels == i).sum())}" for i, name in enumerate(image_set.class_names)]
    margin = 8 + round(max(font.getlength(text) for text in texts))
    rows, columns = height + 2, width + 2
    sheet = Image.new("RGB", (margin + per_class * columns, len(texts) * rows), "white")
    pen = ImageDraw.Draw(sheet)
    for row, text in enumerate(texts):
        pen.text((4, row * rows + height / 2), text, fill="black", font=font, anchor="lm")
        members = (image_set.labels == row).nonzero().flatten().tolist()
        steps = np.linspace(0, len(members) - 1, min(per_class, len(members))).round().astype(int)
        for column, step in enumerate(steps):
            pixels = image_set.images[members[step]].permute(1, 2, 0).cpu().numpy()
            sheet.paste(Image.fromarray(pixels), (margin + column * columns, row * rows))
    return sheet
