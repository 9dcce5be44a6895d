"""Morph targets of one part: what glTF adds to the neutral mesh for each of the 13 expressions."""

from dataclasses import dataclass

import numpy as np

from ..errors import GeometryError
from ..expressions import EXPRESSIONS
from ..render.normals import vertex_normals
from ..structures import HeadPart

SMALLEST_POSITION_DELTA = 1e-5
"""Metres. Shorter offsets are written as zero: 10 micrometres are invisible and cost bytes."""

SMALLEST_NORMAL_DELTA = 2e-3
"""Unitless. Shorter changes of the normal (about 0.1 degrees) are written as zero."""


@dataclass(frozen=True)
class MorphTargets:
    """The neutral's normals and the offsets of every expression.

    Attributes:
        normals: float32 ``[V, 3]``, unit, of the neutral.
        position_deltas: float32 ``[13, V, 3]``, metres, order of EXPRESSIONS.
        normal_deltas: float32 ``[13, V, 3]``; neutral plus delta is the expression's unit normal.
    """

    normals: np.ndarray
    position_deltas: np.ndarray
    normal_deltas: np.ndarray


def morph_targets(part: HeadPart) -> MorphTargets:
    """Offsets of each expression from the neutral, with tiny ones set to exactly zero.

    Normals are smooth across the seams in ``part.weld``. Neutral itself has no target: all
    weights at zero is the neutral.

    Raises:
        GeometryError: the part is empty, not finite, or its arrays do not fit together.
    """
    check_part(part)
    position_deltas = part.displacements.astype(np.float32)  # [13, V, 3], a copy
    position_deltas[np.linalg.norm(position_deltas, axis=2) < SMALLEST_POSITION_DELTA] = 0

    normals = vertex_normals(part.vertices, part.faces, part.weld)  # [V, 3]
    normal_deltas = np.zeros_like(position_deltas)
    for target, offsets in enumerate(position_deltas):
        if offsets.any():
            moved = vertex_normals(part.vertices + offsets, part.faces, part.weld)
            normal_deltas[target] = moved - normals
    normal_deltas[np.linalg.norm(normal_deltas, axis=2) < SMALLEST_NORMAL_DELTA] = 0
    return MorphTargets(normals, position_deltas, normal_deltas)


def check_part(part: HeadPart) -> None:
    """Refuse a part that no program could show.

    Raises:
        GeometryError: with the part's name and what is wrong with it.
    """
    vertex_count = len(part.vertices)
    if vertex_count == 0 or len(part.faces) == 0:
        raise GeometryError(
            f"Part '{part.name}' is empty ({vertex_count} vertices, {len(part.faces)} faces). "
            "Leave the part out instead of exporting it."
        )
    expected = {
        "vertices": (vertex_count, 3),
        "faces": (len(part.faces), 3),
        "uv": (vertex_count, 2),
        "weld": (vertex_count,),
        "displacements": (len(EXPRESSIONS), vertex_count, 3),
    }
    for field, shape in expected.items():
        array = getattr(part, field)
        if array.shape != shape:
            raise GeometryError(
                f"Part '{part.name}': {field} has shape {array.shape}, expected {shape}. "
                "Build all arrays of a part from the same vertices."
            )
        if not np.isfinite(array).all():
            raise GeometryError(
                f"Part '{part.name}': {field} holds {int((~np.isfinite(array)).sum())} values "
                "that are not finite. Check the step that made them."
            )
    if part.faces.min() < 0 or part.faces.max() >= vertex_count:
        raise GeometryError(
            f"Part '{part.name}': faces use vertices {part.faces.min()} to {part.faces.max()}, "
            f"but there are {vertex_count}. Rebuild the faces for these vertices."
        )
