"""A head of spheres with known displacements, for tests that need an asset but no photo."""

import numpy as np

from id2head_core.expressions import EXPRESSIONS
from id2head_core.structures import (
    HeadAppearance,
    HeadAsset,
    HeadGeometry,
    HeadPart,
    Material,
)

STILL_IN_SKIN = "Eyes Closed"
"""The expression that does not move the synthetic skin (the eyes never move)."""


def sphere_part(
    name: str,
    *,
    columns: int = 24,
    rows: int = 12,
    radius: float = 0.1,
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0),
    moving: bool = True,
) -> HeadPart:
    """A sphere whose UV seam is welded; expression k pushes a bump out of a spot of its own."""
    u, v = np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows + 1))
    yaw, polar = (u - 0.5) * 2 * np.pi, v * np.pi  # u = 0.5 is the front (+Z)
    direction = np.stack(
        [np.sin(polar) * np.sin(yaw), np.cos(polar), np.sin(polar) * np.cos(yaw)], axis=-1
    ).reshape(-1, 3)
    start = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
    below = start + columns + 1
    faces = np.concatenate(
        [np.stack([start, below, start + 1], 1), np.stack([start + 1, below, below + 1], 1)]
    )
    rounded = np.round(direction, 6) + 0.0
    weld = np.unique(rounded, axis=0, return_inverse=True)[1].reshape(-1)
    faces = faces[(np.diff(np.sort(weld[faces], axis=1), axis=1) > 0).all(axis=1)]  # poles

    displacements = np.zeros((len(EXPRESSIONS), len(direction), 3), np.float32)
    for index, expression in enumerate(EXPRESSIONS):
        if not moving or expression == STILL_IN_SKIN:
            continue
        angle = 2 * np.pi * index / len(EXPRESSIONS)
        spot = np.array([0.6 * np.cos(angle), 0.6 * np.sin(angle), 0.53])
        bump = np.exp(-((direction - spot) ** 2).sum(1) / 0.08)[:, None]
        displacements[index] = 0.02 * bump * direction
    return HeadPart(
        name=name,
        vertices=(direction * radius + centre).astype(np.float32),
        faces=faces.astype(np.int32),
        uv=np.stack([u, v], axis=-1).reshape(-1, 2).astype(np.float32),
        weld=weld.astype(np.int32),
        displacements=displacements,
    )


def synthetic_head(texture_size: int = 32, **sphere_options) -> HeadAsset:
    """Skin, eyes that never move, and cut-out hair with a roughness map."""
    size = texture_size
    rows, columns = np.mgrid[0:size, 0:size] / size
    skin = np.stack([0.55 + 0.2 * rows, 0.3 + 0.1 * columns, np.full_like(rows, 0.22)], -1)
    strands = (np.sin(columns * 60) > -0.4).astype(np.float32)
    parts = (
        sphere_part("skin", **sphere_options),
        sphere_part("eyes", columns=8, rows=6, radius=0.015, centre=(0, 0, 0.1), moving=False),
        sphere_part("hair", columns=16, rows=8, radius=0.112, centre=(0, 0.02, -0.02)),
    )
    materials = {
        "skin": Material(skin.astype(np.float32), roughness=0.6),
        "eyes": Material(np.full((8, 8, 3), 0.8, np.float32), roughness=0.1),
        "hair": Material(
            np.full((size, size, 3), 0.05, np.float32),
            alpha=strands,
            roughness=(0.4 + 0.2 * rows).astype(np.float32),
        ),
    }
    metadata = {"settings": {"preset": "full", "seed": 0}, "timings": {"fit": 4.2}}
    return HeadAsset(HeadGeometry(parts), HeadAppearance(materials), metadata)
