"""A tetrahedral grid that conforms to a surface (DESIGN D3).

Each vertex of the surface carries a *column* of grid vertices along its normal; neighbouring
columns span prisms, and each prism is split into three tetrahedra. The surface lies between two
layers, so the initial signed distance reproduces it exactly, lips and eyelids stay separate
surfaces, every extracted vertex inherits the surface's texture coordinates, and moving the columns
by an expression moves the same mesh.

Grid vertex ``layer * V + column``; layer 0 is the innermost. Columns that were duplicated at UV
seams share their geometry and must be given equal values (``TetGrid.point`` tells which).
"""

from dataclasses import dataclass

import numpy as np
import torch

from ..errors import GeometryError
from .extrusion import (
    extrusion_directions,
    limited_thickness,
    local_edge_length,
    prism_tetrahedra,
    tetrahedron_volumes,
)
from .marching_tetrahedra import crossing_weights, marching_tetrahedra

LAYERS = (-0.4, -0.13, 0.13, 0.4)
"""Heights of the layers in units of the local edge length; 0, the surface, is between two."""


@dataclass(frozen=True)
class ExtractedMesh:
    """A mesh taken out of the grid.

    Attributes:
        vertices: ``[N, 3]``, metres, differentiable.
        faces: int64 ``[F, 3]``, counter-clockwise from outside.
        uv: float32 ``[N, 2]``, or None if the grid has none.
        weld: int64 ``[N]``, equal for vertices that were duplicated at a UV seam.
        edges: int64 ``[N, 2]``, grid edge of each vertex.
        weights: ``[N, 2]``, of the edge's ends.
    """

    vertices: torch.Tensor
    faces: torch.Tensor
    uv: torch.Tensor | None
    weld: torch.Tensor
    edges: torch.Tensor
    weights: torch.Tensor

    def transfer(self, values: torch.Tensor) -> torch.Tensor:
        """Values at the grid's vertices ``[..., G, C]`` to this mesh's vertices ``[..., N, C]``."""
        return (values[..., self.edges, :] * self.weights[..., None]).sum(-2)


@dataclass(frozen=True)
class TetGrid:
    """Columns over a surface of V vertices, K layers: G = K V grid vertices.

    Attributes:
        grid_vertices: float32 ``[G, 3]``, metres.
        tetrahedra: int64 ``[T, 4]``, in positive order (see ``marching_tetrahedra``).
        heights: float32 ``[K, V]``, metres along the column, 0 on the surface.
        weld: int64 ``[V]``, of the surface.
        uv: float32 ``[V, 2]`` of the surface, or None.
    """

    grid_vertices: np.ndarray
    tetrahedra: np.ndarray
    heights: np.ndarray
    weld: np.ndarray
    uv: np.ndarray | None = None

    @classmethod
    def from_surface(
        cls,
        vertices: np.ndarray,
        faces: np.ndarray,
        weld: np.ndarray,
        layers: tuple[float, ...] = LAYERS,
        uv: np.ndarray | None = None,
    ) -> "TetGrid":
        """Thin layers on both sides of a surface.

        Args:
            vertices: ``[V, 3]``, metres.
            faces: ``[F, 3]``, counter-clockwise from outside.
            weld: ``[V]``, equal for duplicated vertices (which must coincide).
            layers: increasing heights in units of the local edge length, without 0.
            uv: ``[V, 2]``, or None.

        Raises:
            GeometryError: the surface is empty or not finite.
        """
        vertices = _checked(vertices, faces)
        _, first, weld = np.unique(weld, return_index=True, return_inverse=True)
        points, point_faces = vertices[first], weld[faces]  # [W, 3], [F, 3]
        directions = extrusion_directions(points, point_faces)
        fractions = np.asarray(layers, np.float64)
        thickness = limited_thickness(
            points,
            directions,
            local_edge_length(points, point_faces),
            prism_tetrahedra(point_faces, np.arange(len(points)), len(fractions)),
            fractions,
        )
        heights = (fractions[:, None] * thickness)[:, weld]  # [K, V]
        return cls._build(vertices, faces, weld, directions[weld], heights, uv)

    @classmethod
    def from_shell(
        cls,
        proxy_vertices: np.ndarray,
        faces: np.ndarray,
        weld: np.ndarray,
        directions: np.ndarray,
        heights: np.ndarray,
        uv: np.ndarray | None = None,
    ) -> "TetGrid":
        """A thick shell above a smooth proxy, for hair.

        Args:
            proxy_vertices: ``[P, 3]``, metres.
            faces: ``[F, 3]``, counter-clockwise from outside.
            weld: ``[P]``, equal for duplicated vertices.
            directions: unit ``[P, 3]``, from the proxy outwards.
            heights: increasing, metres, ``[K]`` or ``[K, P]``.
            uv: ``[P, 2]``, or None.

        Raises:
            GeometryError: the proxy is empty or not finite.
        """
        vertices = _checked(proxy_vertices, faces)
        _, weld = np.unique(weld, return_inverse=True)
        heights = np.asarray(heights, np.float64).reshape(len(heights), -1)
        heights = np.broadcast_to(heights, (len(heights), len(vertices)))
        return cls._build(vertices, faces, weld, directions, heights, uv)

    @classmethod
    def _build(cls, vertices, faces, weld, directions, heights, uv) -> "TetGrid":
        grid = vertices + heights[..., None] * directions  # [K, V, 3]
        return cls(
            grid.reshape(-1, 3).astype(np.float32),
            prism_tetrahedra(faces, weld, len(heights)),
            heights.astype(np.float32),
            weld.astype(np.int64),
            None if uv is None else np.asarray(uv, np.float32),
        )

    @property
    def column(self) -> np.ndarray:
        """Surface vertex of each grid vertex, int64 ``[G]``."""
        return np.tile(np.arange(len(self.weld)), len(self.heights))

    @property
    def point(self) -> np.ndarray:
        """Number of the geometric point of each grid vertex, int64 ``[G]``: equal across seams."""
        count = int(self.weld.max()) + 1
        return (np.arange(len(self.heights))[:, None] * count + self.weld).reshape(-1)

    def initial_sdf(self, offset: np.ndarray | float = 0.0) -> np.ndarray:
        """Signed distance along the columns to the surface raised by ``offset``, float32 ``[G]``.

        Args:
            offset: metres, scalar or ``[V]``; for hair its thickness (<= the lowest height: none).
        """
        return (self.heights - np.asarray(offset, np.float32)).reshape(-1).astype(np.float32)

    def displace(self, displacements: np.ndarray) -> np.ndarray:
        """Displacements of the surface ``[..., V, 3]`` for whole columns, ``[..., G, 3]``."""
        return np.concatenate([displacements] * len(self.heights), axis=-2)

    def extract(
        self,
        sdf: np.ndarray | torch.Tensor,
        deformation: np.ndarray | torch.Tensor | None = None,
    ) -> ExtractedMesh:
        """The surface by marching tetrahedra, about four times the faces of the template.

        Args:
            sdf: ``[G]``, negative inside.
            deformation: ``[G, 3]``, metres, added to the grid; None = 0.

        Raises:
            GeometryError: the surface is empty or not finite.
        """
        mesh = marching_tetrahedra(
            self._moved(deformation), torch.as_tensor(sdf), torch.from_numpy(self.tetrahedra)
        )
        points = torch.from_numpy(self.point)[mesh.edges].sort(dim=1).values  # [N, 2]
        weld = torch.unique(points, dim=0, return_inverse=True)[1]
        uv = None
        if self.uv is not None:
            columns = mesh.edges % len(self.weld)
            share = mesh.weights.detach()[..., None].float()
            uv = (torch.from_numpy(self.uv)[columns] * share).sum(1)
        return ExtractedMesh(mesh.vertices, mesh.faces, uv, weld, mesh.edges, mesh.weights)

    def crossings(self, sdf: np.ndarray | torch.Tensor) -> np.ndarray:
        """How often the surface crosses each column, int64 ``[V]``."""
        inside = _numpy(sdf).reshape(self.heights.shape) < 0
        return (inside[1:] != inside[:-1]).sum(0)

    def extract_columns(
        self,
        sdf: np.ndarray | torch.Tensor,
        deformation: np.ndarray | torch.Tensor | None = None,
        *,
        strict: bool = True,
    ) -> np.ndarray | torch.Tensor:
        """Where the surface crosses each column, ``[V, 3]``: the template's own topology.

        Args:
            sdf: ``[G]``, negative inside.
            deformation: ``[G, 3]``, metres, added to the grid; None = 0.
            strict: refuse columns that are not crossed exactly once, outwards. Otherwise such a
                column gives its outermost outward crossing, or the end that is nearer to the
                surface where there is none.

        Returns:
            A tensor if an argument is one (differentiable), else float32 numpy.

        Raises:
            GeometryError: the result is not finite, or ``strict`` and a column is crossed wrongly.
        """
        layers, columns = self.heights.shape
        values = torch.as_tensor(sdf).reshape(layers, columns)
        inside = values.detach() < 0
        outward = inside[:-1] & ~inside[1:]  # [K - 1, V]
        if strict:
            _check_columns(self.crossings(sdf), outward.numpy())
        level = layers - 2 - outward.flip(0).int().argmax(0)  # the outermost crossing, [V]
        missing = ~outward.any(0)
        level = torch.where(missing, torch.where(inside[0], layers - 2, 0), level)
        ends = torch.stack([level, level + 1], 1) * columns + torch.arange(columns)[:, None]
        weights = crossing_weights(values.reshape(-1)[ends])  # [V, 2]
        nearest_end = torch.stack([~inside[0], inside[0]], 1).to(weights)
        weights = torch.where(missing[:, None], nearest_end, weights)
        points = (self._moved(deformation)[ends] * weights[..., None]).sum(1)  # [V, 3]
        if not torch.isfinite(points).all():
            raise GeometryError("The extracted surface is not finite. Refit the head.")
        if isinstance(sdf, torch.Tensor) or isinstance(deformation, torch.Tensor):
            return points
        return points.numpy()

    def inverted_share(self, deformation: np.ndarray | None = None) -> float:
        """Share of the tetrahedra that have no positive volume."""
        grid = self.grid_vertices if deformation is None else self.grid_vertices + deformation
        return float((tetrahedron_volumes(grid, self.tetrahedra) <= 0).mean())

    def _moved(self, deformation: np.ndarray | torch.Tensor | None) -> torch.Tensor:
        grid = torch.from_numpy(self.grid_vertices)
        return grid if deformation is None else grid + torch.as_tensor(deformation)


def _numpy(values: np.ndarray | torch.Tensor) -> np.ndarray:
    return values.detach().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _checked(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Vertices in double precision, or GeometryError."""
    vertices = np.asarray(vertices, np.float64)
    if len(faces) == 0:
        raise GeometryError("The surface has no faces. Refit the head.")
    if not np.isfinite(vertices).all():
        bad = int((~np.isfinite(vertices)).any(1).sum())
        raise GeometryError(f"{bad} vertices of the surface are not finite. Refit the head.")
    return vertices


def _check_columns(crossings: np.ndarray, outward: np.ndarray) -> None:
    """Raise unless every column is crossed exactly once, from inside to outside."""
    wrong = (crossings != 1) | (outward.sum(0) != 1)
    if wrong.any():
        none, several = int((crossings == 0).sum()), int((crossings > 1).sum())
        raise GeometryError(
            f"{int(wrong.sum())} of {len(wrong)} columns are not crossed once outwards "
            f"({none} never, {several} several times). Extract with marching tetrahedra, "
            "or with strict=False."
        )
