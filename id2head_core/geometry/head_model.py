"""theta_g: everything that the geometry stage optimises, and the mesh that it stands for.

The skin is the zero level of the conforming tetrahedral grid, whose columns the residual and the
expression move; the hair is the zero level of the shell grid, whose signed distance the hair field
changes. Both are extracted column by column (DESIGN D3), so the mesh is the exported one.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from ..errors import GeometryError
from ..structures import HairFit, HeadFit
from ..template.hair import EXPRESSION_REACH, TUCK, HairTemplate
from ..template.head_template import BoundPart, HeadTemplate
from .contact import lids_correction, shut_expressions, without_crossing
from .expression_transformer import ExpressionTransformer
from .hair_field import LONGEST, HairField
from .normal_render import DrawnMesh
from .skin_deformation import SkinDeformation
from .tet_grid import TetGrid

DRAWN_PARTS = ("eyes", "teeth", "tongue")
"""Bound parts in a picture of normals; lashes are thinner than a pixel."""

SHELL_HEIGHTS = (-2 * TUCK, 0.0, 0.01, 0.03, 0.08, LONGEST + 0.02)
"""Layers of the hair's shell grid, metres above the skull proxy."""

TORN = 3.0
"""An edge of the neutral skin that grew to this multiple of its length counts as torn ..."""

TORN_SLACK = 0.004
"""... if it also grew by this much, metres."""


@dataclass(frozen=True)
class GeometryResult:
    """What the stage found.

    Attributes:
        fit: the fitted head with its new neutral, vertices and residual.
        hair: with its new thickness, or None for a head without.
        displacements: of the 13 expressions, float32 ``[13, N, 3]``, metres.
        expression_state: of the ``ExpressionTransformer``, to go on from here.
    """

    fit: HeadFit
    hair: HairFit | None
    displacements: np.ndarray
    expression_state: dict[str, torch.Tensor]


class HeadModel(nn.Module):
    """Parameters of one head, and its mesh in any expression.

    Args:
        template: the head template.
        hair_template: of the hair.
        fit: where to start.
        hair: where to start, or None for a head without hair.
        skin_free: ``[N]`` in [0, 1], how far the residual may move each vertex.
        hair_known: ``[P]`` in [0, 1], where the hair's thickness is kept.
        hair_least: share of the thickness that stays wherever there is hair.
        hair_reach: how far beyond its outline the hair may grow, metres.
        skin_cap: largest residual, metres.
        generator: of initial codes and weights.
    """

    def __init__(
        self,
        template: HeadTemplate,
        hair_template: HairTemplate,
        fit: HeadFit,
        hair: HairFit | None,
        *,
        skin_free: np.ndarray,
        hair_known: np.ndarray,
        skin_cap: float,
        hair_least: float = 0.0,
        hair_reach: float = np.inf,
        generator: torch.Generator,
    ):
        super().__init__()
        if not np.isfinite(fit.neutral).all():
            raise GeometryError("The fitted head holds values that are not finite. Refit the head.")
        self.template, self.hair_template, self.fit, self.start_hair = (
            template, hair_template, fit, hair,
        )  # fmt: skip
        self.surface, faces = np.unique(
            template.skin_vertex[template.skin_faces], return_inverse=True
        )
        self.skin_faces = faces.reshape(-1, 3)  # [F, 3] over the surface's points
        self.expressions = ExpressionTransformer(template, fit.neutral, generator)
        self.skin = SkinDeformation(fit.neutral, self.surface, skin_free, skin_cap)
        has_hair = hair is not None and bool((hair.thickness > 0).any())
        self.hair = None
        if has_hair:
            self.hair = HairField(hair_template, hair, hair_known, hair_least, hair_reach)
        self._base = torch.from_numpy(fit.neutral.astype(np.float32))
        grid = TetGrid.from_surface(
            fit.neutral[self.surface], self.skin_faces, np.arange(len(self.surface))
        )
        skin = grid.extract_columns(grid.initial_sdf())
        self._skin_start = torch.from_numpy(skin)  # its level stays, so it moves as its columns do
        self._surface_rows = torch.from_numpy(self.surface)
        self._bound = [_Bound(part) for part in template.bound if part.name in DRAWN_PARTS]
        if has_hair:
            self._hair_weld()
        self.edges, self._rest = self._edge_lengths()
        self._drawn_faces: tuple[bytes, torch.Tensor, int] | None = None
        self._sound: tuple[int, ...] | None = None  # versions of the parameters last found sound

    def neutral(self) -> torch.Tensor:
        """Template vertices ``[N, 3]`` without expression."""
        return self._base + self.skin()

    def mesh(self, offset: torch.Tensor) -> DrawnMesh:
        """All parts with an expression's displacement ``[N, 3]`` of the template.

        Raises:
            GeometryError: the mesh is empty, torn or not finite.
        """
        residual = self.skin()
        self.check(residual)
        change = residual + offset  # [N, 3]
        parts = [self._skin_start + change[self._surface_rows]]
        posed, neutral = self._base + change, (self._base + residual).detach().numpy()
        parts += [bound(posed, neutral) for bound in self._bound]
        faces, hair_start = self._base_faces()
        if self.hair is not None:
            height = self.hair.height(self.hair.thickness())
            parts.append(self._hair_vertices(height, residual, offset))
            faces, hair_start = self._with_hair(height.detach().numpy())
        vertices = torch.cat(parts)
        if not torch.isfinite(vertices).all():
            raise GeometryError("The mesh holds values that are not finite. Take a smaller step.")
        return DrawnMesh(vertices, faces, hair_start)

    def check(self, residual: torch.Tensor | None = None) -> None:
        """Raise GeometryError unless the head is finite, whole, and still has its hair."""
        state = tuple(parameter._version for parameter in self.parameters())
        if state == self._sound:
            return
        bad = [n for n, p in self.named_parameters() if not torch.isfinite(p).all()]
        if bad:
            raise GeometryError(f"Parameters are not finite: {', '.join(bad)}. Refit the head.")
        residual = self.skin() if residual is None else residual
        points = (self._base + residual.detach()).numpy()
        start, end = points[self.edges[:, 0]], points[self.edges[:, 1]]
        length = np.linalg.norm(start - end, axis=1)
        torn = (length > TORN * self._rest) & (length > self._rest + TORN_SLACK)
        if torn.any():
            raise GeometryError(
                f"{int(torn.sum())} edges of the skin are torn, up to {1000 * length.max():.1f} mm "
                "long. Lower the learning rate of the skin."
            )
        if self.hair is not None and not (self.hair.thickness() > 0).any():
            raise GeometryError(
                "No hair is left. Lower the learning rate of the hair, or start without hair."
            )
        self._sound = state

    def result(self) -> GeometryResult:
        """The head as the next stages want it, with lids and lips that meet.

        Raises:
            GeometryError: the head is empty, torn or not finite.
        """
        self.check()
        template, fit = self.template, self.fit
        with torch.no_grad():
            residual = self.skin().numpy()
            offsets = self.expressions.displacements().numpy()
        moved = fit
        if residual.any():
            moved = template.moved(fit, residual)
            together = lids_correction(template.eye_frame, moved.neutral - fit.neutral)
            shut = shut_expressions(template, fit.neutral, offsets)[0]
            offsets = offsets + shut[:, None, None] * together
        displacements = without_crossing(template, moved.neutral, offsets)
        if not np.isfinite(displacements).all():
            raise GeometryError("The expressions are not finite. Refit the head.")
        hair = self.start_hair
        if self.hair is not None:
            with torch.no_grad():
                hair = replace(hair, thickness=self.hair.thickness().numpy().astype(np.float32))
        return GeometryResult(moved, hair, displacements, self.expressions.state())

    def _hair_weld(self) -> None:
        """Points of the hair's shell, one per weld number, and its grid."""
        template = self.hair_template
        _, self._hair_rows, weld = np.unique(template.weld, return_index=True, return_inverse=True)
        faces = weld[template.faces]
        distinct = (faces != np.roll(faces, 1, axis=1)).all(1)
        self._hair_faces = faces[distinct]
        self._hair_grid = TetGrid.from_shell(
            template.proxy_vertices(self.fit.neutral)[self._hair_rows],
            self._hair_faces,
            np.arange(len(self._hair_rows)),
            template.directions(self.fit.neutral)[self._hair_rows],
            np.array(SHELL_HEIGHTS),
        )

    def _hair_vertices(self, height, residual, offset) -> torch.Tensor:
        """Shell ``[P', 3]``; it follows the skin below, and takes no gradient from that."""
        rows = torch.from_numpy(self._hair_rows)
        height = height[rows]  # [P']
        carried = self.hair_template.carried(torch.stack([residual, offset]).detach().numpy())
        carried = torch.from_numpy(carried)[:, rows]  # [2, P', 3]
        share = torch.exp(-height.detach().clamp(min=0) / EXPRESSION_REACH)[:, None]
        columns = (carried[0] + share * carried[1]).repeat(len(SHELL_HEIGHTS), 1)
        sdf = (torch.tensor(SHELL_HEIGHTS)[:, None] - height).reshape(-1)
        return self._hair_grid.extract_columns(sdf, columns, strict=False)

    def _base_faces(self) -> tuple[torch.Tensor, int]:
        """Faces of all parts but hair, and how many there are."""
        faces, first = [self.skin_faces], len(self.surface)
        for bound in self._bound:
            faces.append(bound.faces + first)
            first += bound.count
        faces = torch.from_numpy(np.concatenate(faces).astype(np.int64))
        return faces, len(faces)

    def _with_hair(self, height: np.ndarray) -> tuple[torch.Tensor, int]:
        """Faces of all parts; the same tensor as long as the same cells have hair."""
        kept = (height[self._hair_rows][self._hair_faces] > 0).any(1)
        key = kept.tobytes()
        if self._drawn_faces is None or self._drawn_faces[0] != key:
            faces, start = self._base_faces()
            first = len(self.surface) + sum(bound.count for bound in self._bound)
            hair = torch.from_numpy(self._hair_faces[kept].astype(np.int64) + first)
            self._drawn_faces = key, torch.cat([faces, hair]), start
        return self._drawn_faces[1:]

    def _edge_lengths(self) -> tuple[np.ndarray, np.ndarray]:
        """Edges of the skin ``[E, 2]`` (template vertices) and their length at the start."""
        faces = self.surface[self.skin_faces]
        edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        edges = np.unique(np.sort(edges, axis=1), axis=0)
        start, end = self.fit.neutral[edges[:, 0]], self.fit.neutral[edges[:, 1]]
        return edges, np.linalg.norm(start - end, axis=1)


class _Bound:
    """A bound part in torch, welded."""

    def __init__(self, part: BoundPart):
        _, rows, weld = np.unique(part.weld, return_index=True, return_inverse=True)
        self.part, self.faces, self.count = part, weld[part.faces], len(rows)
        self._reference = torch.from_numpy(part.reference[rows].astype(np.int64))
        self._weight = torch.from_numpy(part.weight[rows].astype(np.float32))
        self._offset = part.offset[rows]

    def __call__(self, posed: torch.Tensor, neutral: np.ndarray) -> torch.Tensor:
        """Vertices ``[P', 3]`` on ``posed [N, 3]``, as large as on ``neutral``."""
        offset = (self._offset * self.part.fit_scale(neutral)).astype(np.float32)
        bound = (posed[self._reference] * self._weight[..., None]).sum(1)
        return bound + torch.from_numpy(offset)
