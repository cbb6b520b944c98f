"""A net in 8 bits, as the device runs it: for benchmarks that compare forms without writing bundles."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from groupnl.export.bundle_writer import assemble
from groupnl.export.forms import Form, Source
from groupnl.export.graph import INPUT, OUTPUT
from groupnl.export.quantization import int8_forms
from groupnl_device.bundle import Bundle
from groupnl_device.manifest import Manifest
from groupnl_device.preprocessing import Preprocessing


def int8_bundles(model: nn.Module, preprocessing: Preprocessing, calibration: Tensor) -> dict[str, Bundle]:
    """Quantise a net as ``groupnl export --precision int8`` does.

    Args:
        model: In evaluation mode.
        preprocessing: How pictures become its input.
        calibration: uint8, shape (N, 3, H, W).

    Returns:
        A bundle for each form, ``native`` and ``plain``; the plain one alone where the net has no GroupNL layer.
    """
    source = Source.of(model, torch.zeros(1, *preprocessing.input_size), preprocessing, "int8", calibration.numpy())
    with torch.no_grad():
        classes = source.reference(source.example).shape[1]
    return {
        form.artifact.form: Bundle.from_bytes(assemble(manifest_of(source, [form], classes), dict(form.entries)))
        for form in int8_forms(source)
    }


def manifest_of(source: Source, forms: Sequence[Form], classes: int) -> Manifest:
    """The description of a bundle with these forms and nothing else."""
    used = frozenset[str]().union(*(form.rebuilt for form in forms))
    return Manifest(
        name="net",
        input_name=INPUT,
        input_shape=(None, *source.preprocessing.input_size),
        output_name=OUTPUT,
        output_shape=(None, classes),
        preprocessing=source.preprocessing,
        class_names=tuple(map(str, range(classes))),
        entries={},
        layers=tuple(
            replace(layer, initializers={role: name for role, name in layer.initializers.items() if name in used})
            for layer in source.plain.layers
        ),
        artifacts=tuple(form.artifact for form in forms),
        measured={},
        producer={},
    )
