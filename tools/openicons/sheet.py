"""Draw docs/images/openicons.png: a row of pictures for each class of the dataset as shipped."""

from pathlib import Path

from groupnl.data import contact_sheet, load

OUTPUT = Path(__file__).resolve().parents[2] / "docs" / "images" / "openicons.png"

if __name__ == "__main__":
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(load("openicons", split="train"), per_class=24).save(OUTPUT, optimize=True)
    print(OUTPUT)
