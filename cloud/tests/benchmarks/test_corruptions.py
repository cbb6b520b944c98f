import numpy as np
import pytest
import torch
from benchmarks.corruptions import make_one_by_one, measure, summary, table

from groupnl.corruptions import CORRUPTIONS, FrostPhotographs, corrupt, names

ROWS = [
    {"corruption": "fog", "severity": 1, "ms_per_picture": 0.5, "peer_ms_per_picture": 4.0, "memory_growth_mib": 0.0},
    {"corruption": "fog", "severity": 2, "ms_per_picture": 1.5, "peer_ms_per_picture": 12.0, "memory_growth_mib": 2.0},
    {"corruption": "snow", "severity": 1, "ms_per_picture": 2.0, "peer_ms_per_picture": 4.0, "memory_growth_mib": 1.0},
]
EXACT = ("defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression")
EXACT += ("gaussian_blur", "saturate")


def test_summary_by_hand() -> None:
    found = summary(ROWS, 1000)
    assert found["seconds"] == 4.0
    assert found["peer_seconds"] == 20.0
    assert found["speedup"] == 5.0
    assert found["largest_memory_growth_mib"] == 2.0
    assert 20 < found["peak_memory_mib"] < 100_000


def test_table_by_hand() -> None:
    assert table(ROWS, 1000).splitlines()[2:] == ["| fog | 2.0 | 16 | 8.0 |", "| snow | 2.0 | 4 | 2.0 |"]


@pytest.fixture(scope="module")
def photographs() -> FrostPhotographs:
    rng = np.random.default_rng(3)
    images = tuple(torch.from_numpy(rng.integers(0, 256, (3, 400, 300)).astype(np.uint8)) for _ in range(5))
    return FrostPhotographs(images=images, source="noise")


@pytest.fixture(scope="module")
def peers() -> dict:  # type: ignore[type-arg]
    for package in ("cv2", "skimage"):
        pytest.importorskip(package, reason="the peer's packages are no dependency")
    from benchmarks.corruption_peers import PEERS

    return PEERS


@pytest.fixture(scope="module")
def smooth() -> torch.Tensor:
    """uint8, shape (60, 3, 32, 32): a scene of waves, no two alike."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:32, :32] / 32
    waves = rng.normal(size=(60, 3, 2, 1, 1)) * 6
    scene = np.sin(waves[:, :, 0] * y + waves[:, :, 1] * x + rng.uniform(0, 6, (60, 3, 1, 1)))
    return torch.from_numpy(np.uint8((scene * 0.45 + 0.5) * 255))


def test_there_is_a_peer_for_every_corruption(peers: dict) -> None:  # type: ignore[type-arg]
    assert tuple(peers) == names("all")


@pytest.mark.parametrize("name", names("all"))
@pytest.mark.parametrize("severity", [1, 3, 5])
def test_the_peer_does_the_same_work(
    peers: dict,  # type: ignore[type-arg]
    smooth: torch.Tensor,
    photographs: FrostPhotographs,
    name: str,
    severity: int,
) -> None:
    ours = corrupt(smooth, name, severity=severity, frost_photographs=photographs).double()
    constants = dict(CORRUPTIONS[name].constants("cifar", severity))
    panes = [photograph.permute(1, 2, 0).numpy() for photograph in photographs.images]
    extra = {"photographs": panes} if name == "frost" else {}
    random = np.random.default_rng(1)
    made = [peers[name](picture, random, **constants, **extra) for picture in smooth.permute(0, 2, 3, 1).numpy()]
    peer = torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).double()
    if name in EXACT:
        difference = (ours - peer).abs()
        assert difference.max() <= 1
        assert (difference > 0).double().mean() <= 1e-3
    else:  # other draws: over the pictures, no difference in brightness or in distance from the clean picture
        for of_ours, of_peer in ((ours, peer), ((ours - smooth).abs(), (peer - smooth).abs())):
            difference = (of_ours - of_peer).mean((1, 2, 3))
            assert difference.mean().abs() < 4 * difference.std() / len(difference) ** 0.5


def test_every_part_is_measured(peers: dict, smooth: torch.Tensor, photographs: FrostPhotographs) -> None:  # type: ignore[type-arg]
    rows = measure(smooth[:2], 1, photographs)
    assert [(row["corruption"], row["severity"]) for row in rows] == [(n, s) for n in peers for s in range(1, 6)]
    assert all(row["ms_per_picture"] > 0 and row["peer_ms_per_picture"] > 0 for row in rows)


def test_the_peer_leaves_the_pictures_alone(
    peers: dict,  # type: ignore[type-arg]
    smooth: torch.Tensor,
    photographs: FrostPhotographs,
) -> None:
    pictures = smooth[:2].permute(0, 2, 3, 1).contiguous().numpy()
    before = pictures.copy()
    for name in peers:
        make_one_by_one(pictures, name, 5, [p.permute(1, 2, 0).numpy() for p in photographs.images])
    assert np.array_equal(pictures, before)
