"""Loose strands over the hair of a finished head: thin shells above it, cut out along the strands.

One smooth shell looks like a helmet. Concentric shells with less and less hair (Lengyel et al.,
"Real-time fur over arbitrary surfaces", 2001) give it depth and a soft outline with plain triangles
and a cut-out texture. They take shape, motion and colour from the hair; no stage optimises them.
"""

from dataclasses import replace

import cv2
import numpy as np

from ..render.normals import vertex_normals
from ..structures import HairFit, HeadAppearance, HeadFit, HeadGeometry, HeadPart, Material
from ..template.hair import HairTemplate, shell_faces, shell_height, shell_vertices
from .hair_sheet import grid_places
from .hair_texture import ROUGHNESS
from .strand_noise import STRAND, strand_length, strand_noise, texel_widths, wandering

PART = "strands"

SHELLS = ((0.0015, 0.1), (0.0032, 0.9))
"""Of each shell: metres above the hair; the noise, in deviations, above which it has strands."""

SHELL_SIZE = (320, 1024)
"""Rows and columns of each shell's texture."""

FULL = 0.012
"""Hair this thick has strands at their full height, metres."""

LEAST = 0.006
"""Hair whose thick parts are thinner than this is cropped and has no loose strands, metres."""

MARGIN = (0.003, 0.012)
"""Distance from the outline at which strands begin to rise and are at their full height, metres."""

DARKER, LIGHTER = 0.8, 1.12
"""Factors of the albedo in the gaps between strands, and of the strands' own albedo."""

COLOUR_BLUR, ALPHA_STEPS = (3, 7), 15
"""Texels across and along over which the strands' colour is averaged, and steps of their alpha:
a smaller file that looks the same."""

STILL = 3e-4
"""Strands do not follow motions of the hair that are smaller than this, metres."""


def with_loose_strands(
    template: HairTemplate,
    hair: HairFit | None,
    fit: HeadFit,
    geometry: HeadGeometry,
    appearance: HeadAppearance,
) -> tuple[HeadGeometry, HeadAppearance]:
    """Add a part ``"strands"`` and its material, and darken the hair below it.

    Args:
        template: the hair template.
        hair: of the head, or None.
        fit: of the head.
        geometry: built from ``fit`` and ``hair``.
        appearance: materials; left as they are.

    Returns:
        Both, unchanged for a head without hair or with cropped hair.
    """
    base = geometry.part("hair")
    if hair is None or base is None or "hair" not in appearance.materials:
        return geometry, appearance
    if hair.volume < LEAST:
        return geometry, appearance
    rising = _rising(template, hair)
    height = shell_height(template, hair.thickness)
    part = _shells(base, rising[np.unique(shell_faces(template, height))])
    if not len(part.faces):
        return geometry, appearance
    material = appearance.materials["hair"]
    grid = template.image(shell_vertices(template, height, fit.neutral))
    risen = template.image(rising)
    places = grid_places(template, hair, *SHELL_SIZE)
    risen = cv2.remap(risen, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    covered, strands = _materials(grid, risen, strand_length(hair.volume), material)
    materials = {**appearance.materials, "hair": covered, PART: strands}
    return HeadGeometry((*geometry.parts, part)), HeadAppearance(materials)


def _rising(template: HairTemplate, hair: HairFit) -> np.ndarray:
    """How high strands rise above each point of the template, ``[P]`` in [0, 1]."""
    inside = template.outline_distance(hair.thickness).ravel()
    inside = np.clip((inside - MARGIN[0]) / (MARGIN[1] - MARGIN[0]), 0, 1)
    return (inside * np.clip(hair.thickness / FULL, 0, 1)).astype(np.float32)


def _shells(base: HeadPart, rising: np.ndarray) -> HeadPart:
    """All shells in one mesh, over the faces of ``base`` where strands rise."""
    faces = base.faces[(rising[base.faces] > 0).any(1)]
    used, faces = np.unique(faces, return_inverse=True)
    faces = faces.reshape(-1, 3).astype(np.int32)
    normals = vertex_normals(base.vertices, base.faces, base.weld)[used]
    moved = base.displacements[:, used]
    moved = np.where(np.linalg.norm(moved, axis=-1, keepdims=True) > STILL, moved, 0)
    _, weld = np.unique(base.weld[used], return_inverse=True)
    count, shells = len(used), len(SHELLS)
    lifts = [normals * (lift * rising[used])[:, None] for lift, _ in SHELLS]
    uv = [(base.uv[used] + (0, shell)) / (1, shells) for shell in range(shells)]
    return HeadPart(
        PART,
        np.concatenate([base.vertices[used] + lift for lift in lifts]).astype(np.float32),
        np.concatenate([faces + shell * count for shell in range(shells)]),
        np.concatenate(uv).astype(np.float32),
        np.concatenate([weld + shell * count for shell in range(shells)]).astype(np.int32),
        np.concatenate([moved] * shells, axis=1).astype(np.float32),
    )


def _materials(
    grid: np.ndarray, risen: np.ndarray, length: float, material: Material
) -> tuple[Material, Material]:
    """The hair, darker between the strands, and the strands.

    Args:
        grid: vertices of the hair's shell ``[R, C + 1, 3]``, metres.
        risen: how high strands rise, ``[*SHELL_SIZE]`` in [0, 1].
        length: of the strands, in widths.
        material: of the hair.
    """
    rows, columns = SHELL_SIZE
    texel = texel_widths(grid, rows, columns)
    generator = np.random.default_rng(3)
    roughness = np.mean(material.roughness)
    waves = float(np.clip((roughness - ROUGHNESS) / 0.2, 0.2, 1))
    colour = cv2.resize(material.albedo, (columns, rows), interpolation=cv2.INTER_AREA)
    colour = cv2.blur(colour, COLOUR_BLUR)
    shells = []
    for _, threshold in SHELLS:
        fine = strand_noise(texel, generator, STRAND, length, columns)
        broad = strand_noise(texel, generator, 4 * STRAND, 0.8 * length, columns)
        noise = wandering(fine + 0.5 * broad, generator, waves)
        shells.append(np.clip(0.5 + 0.8 * (noise - threshold), 0, 1) * (risen > 0))
    size = material.albedo.shape[1::-1]
    gaps = cv2.resize((1 - shells[0]) * risen, size)[..., None]
    below = material.albedo * (1 + (DARKER - 1) * gaps)
    lit = np.clip(colour * LIGHTER, 0, 1)
    alpha = np.round(np.concatenate(shells) * ALPHA_STEPS) / ALPHA_STEPS
    strands = Material(np.concatenate([lit] * len(SHELLS)), alpha.astype(np.float32), roughness)
    return replace(material, albedo=below.astype(np.float32)), strands
