"""``groupnl data sheet``: one picture under every corruption at every severity."""

from pathlib import Path
from typing import Annotated

import typer

from groupnl.cli.data_corrupt import check_corruptions
from groupnl.cli.datasets import (
    DataDirOption,
    DataOption,
    FrostOption,
    ImageSizeOption,
    ProtocolOption,
    VariantOption,
    load_split,
    variant_of,
)
from groupnl.cli.output import JsonOption, Output


def sheet(
    data: DataOption,
    out: Annotated[Path, typer.Option(metavar="FILE.png", help="The sheet.")],
    picture: Annotated[int, typer.Option(metavar="N", help="Which test picture, from 0.")] = 0,
    data_dir: DataDirOption = None,
    protocol: ProtocolOption = "random",
    image_size: ImageSizeOption = None,
    variant: VariantOption = None,
    seed: Annotated[int, typer.Option(help="Of the corruptions' draws.")] = 0,
    frost_dir: FrostOption = None,
    json: JsonOption = None,
) -> None:
    """Draw one test picture under every corruption at every severity.

    Example: [bold]groupnl data sheet --data openicons --out corruptions.png[/bold]
    """
    import torch

    from groupnl.corruptions import FAMILIES, SEVERITIES, corrupt, find_frost_photographs, names
    from groupnl.data.corruption_sheet import corruption_sheet
    from groupnl_device.atomic import write_atomically

    with Output(json).words() as output:
        test_set = load_split(data, "test", data_dir, protocol, image_size)
        if not 0 <= picture < len(test_set):
            raise ValueError(f"--picture {picture}: expected 0 to {len(test_set) - 1}, a picture of the test set")
        constants = variant_of(variant, test_set)
        photographs = find_frost_photographs(frost_dir)
        check_corruptions(test_set, names("all"), constants, seed, photographs)
        clean = test_set.images[picture : picture + 1]

        def spoiled(name: str) -> torch.Tensor:
            """One picture at all severities, the same pixels as in a corrupted copy of the set."""
            return torch.cat(
                [
                    corrupt(
                        clean,
                        name,
                        severity=severity,
                        variant=constants,
                        seed=seed,
                        first_index=picture,
                        frost_photographs=photographs,
                    )
                    for severity in SEVERITIES
                ]
            )

        families: dict[str, dict[str, torch.Tensor]] = {
            family: {name: spoiled(name) for name in names(family)} for family in FAMILIES
        }
        class_name = test_set.class_names[int(test_set.labels[picture])]
        drawn = corruption_sheet(
            clean[0],
            families,
            severities=SEVERITIES,
            title="The common corruptions, severities 1 to 5",
            notes=(
                f"{data}, test picture {picture} ({class_name}), {'x'.join(map(str, clean.shape[2:]))}",
                f"{constants} constants, seed {seed}; frost photographs: {photographs.source}",
            ),
        )
        write_atomically(out, lambda file: drawn.save(file, format="PNG"))
        output.say(f"wrote {out}")
        output.finish(
            {
                "file": str(out),
                "data": data,
                "picture": picture,
                "class": class_name,
                "variant": constants,
                "seed": seed,
                "frost_source": photographs.source,
                "corruptions": list(names("all")),
            }
        )
