"""From the fitted template to the meshes of the head, through the conforming tetrahedral grid."""

import numpy as np

from ..errors import GeometryError
from ..structures import HairFit, HeadFit, HeadGeometry, HeadPart
from ..template.hair import HairTemplate, hair_part
from ..template.head_template import HeadTemplate
from .tet_grid import TetGrid


def build_geometry(
    template: HeadTemplate,
    hair_template: HairTemplate,
    fit: HeadFit,
    hair: HairFit | None,
    displacements: np.ndarray | None = None,
    *,
    brows: bool = False,
) -> HeadGeometry:
    """All parts of the head with their 13 expressions.

    The skin is extracted from the grid at the initial signed distance, column by column, so it has
    the template's own topology and texture coordinates; the expressions move the grid, and with it
    the same mesh.

    Args:
        template: the head template.
        hair_template: skull proxy of the hair.
        fit: fitted head; its neutral is the base.
        hair: None for a head without hair.
        displacements: of the expressions ``[13, N, 3]``, metres (``GeometryResult``); None for the
            template's own.
        brows: add a part ``"brows"``, for heads whose skin has none.

    Raises:
        GeometryError: the mesh would be empty, torn or not finite.
    """
    if displacements is None:
        displacements = template.expression_displacements(fit.neutral)  # [13, N, 3]
    if not np.isfinite(displacements).all():
        bad = int((~np.isfinite(displacements)).any((1, 2)).sum())
        raise GeometryError(f"{bad} of 13 expressions are not finite. Refit the head.")
    skin, *bound = template.parts(fit.neutral, displacements)
    parts = [_through_grid(skin), *bound]
    if hair is not None:
        mesh = hair_part(hair_template, hair, fit.neutral, displacements)
        if mesh is not None:
            parts.append(mesh)
    if brows:
        parts.append(template.brows(fit.neutral, displacements))
    return HeadGeometry(tuple(parts))


def _through_grid(skin: HeadPart) -> HeadPart:
    """Re-extract the skin and its expressions from the tetrahedral grid."""
    grid = TetGrid.from_surface(skin.vertices, skin.faces, skin.weld)
    sdf = grid.initial_sdf()
    neutral = grid.extract_columns(sdf, None)
    moved = grid.displace(skin.displacements)
    displacements = [grid.extract_columns(sdf, offset) - neutral for offset in moved]
    return HeadPart(
        skin.name,
        neutral.astype(np.float32),
        skin.faces,
        skin.uv,
        skin.weld,
        np.stack(displacements).astype(np.float32),
    )
