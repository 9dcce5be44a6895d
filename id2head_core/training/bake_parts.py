"""Eyeballs, teeth, tongue, lashes and brows: meshes that are bound to template vertices."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .bake_bust import Bust
from .bake_sources import BaseMesh, Proxy, read_proxy
from .bake_teeth import reduce_teeth

FIT_SCALE = {
    "skull": ((5399, 11998, 1.48), (791, 881, 2.3298), (962, 5320, 1.9221)),
    "brows": ((5399, 11998, 1.416), (791, 881, 2.3073), (962, 5320, 1.9231)),
    "teeth": ((15077, 15111, 0.5002), (14993, 15061, 0.3132), (15061, 15068, 0.4465)),
}
"""Vertices and their distance (decimetres) that a proxy's offsets were authored at, per axis."""

TEETH_SETBACK, TEETH_NARROWING = 0.022, 0.97
"""Decimetres back, and a factor across: the teeth stay behind closed lips."""

TONGUE_SHIFT = (0.0, -0.02, -0.08)
"""Decimetres; the tip stays behind the teeth, and an open mouth shows more than the tongue."""

BROW_LIFT, BROW_TURN = 0.010, 4.5
"""Decimetres up, and degrees that the inner ends are raised: the authored brows look stern."""

EYE_RINGS = (0, 7, 12, 17, 20, 22.5, 25, 30, 37, 45, 54, 64, 75, 88, 102)
"""Polar angles of the eyeball's rings, degrees from the gaze; the limbus is near 23."""

EYE_SEGMENTS = 28

EYE_ISLANDS = ((0.292, 0.292), (0.708, 0.708))
"""Centres of the right and the left eye's discs in the eyes' texture."""

EYE_UV_POWER = 0.7
"""Below 1 gives the iris more texels than the back of the eye."""

EYE_DISC = 0.285
"""Radius of a disc, as a share of the texture."""


@dataclass(frozen=True)
class Part:
    """A bound part: ``sum(weight * v[reference]) + offset * fit scale``, lengths in metres.

    Attributes:
        faces: int ``[F, 3]``.
        uv: float ``[P, 2]``, glTF convention.
        weld: int ``[P]``.
        reference: int ``[P, 3]``, template vertices.
        weight: float ``[P, 3]``.
        offset: float ``[P, 3]``, metres.
        scale_vertices: int ``[3, 2]``, template vertices whose distance along x, y, z ...
        scale_distance: float ``[3]``: ... divided by this, in metres, is the fit scale.
    """

    faces: np.ndarray
    uv: np.ndarray
    weld: np.ndarray
    reference: np.ndarray
    weight: np.ndarray
    offset: np.ndarray
    scale_vertices: np.ndarray
    scale_distance: np.ndarray


def read_proxies(makehuman: Path) -> dict[str, Proxy]:
    """The proxies that the template uses, by part name."""
    folder = makehuman / "public/data/proxies"
    names = {
        "teeth": "teeth/Teeth_Base/Teeth_Base",
        "tongue": "tongue/tongue01/tongue01",
        "brows": "eyebrows/eyebrow001/eyebrow001",
    }
    return {part: read_proxy(folder / f"{name}.json") for part, name in names.items()}


def bound_parts(mesh: BaseMesh, bust: Bust, proxies: dict[str, Proxy]) -> dict[str, Part]:
    """Bind the parts to the template's vertices."""
    parts = {"eyes": _eyes(mesh, bust)}
    for name, proxy in proxies.items():
        bound = (mesh.vertices[proxy.reference] * proxy.weight[..., None]).sum(1) + proxy.offset
        if name == "teeth":
            proxy = reduce_teeth(proxy, bound)
        offset = proxy.offset + _adjustment(name, bound)
        scale = {"teeth": "teeth", "brows": "brows"}.get(name, "skull")
        parts[name] = _from_proxy(proxy, offset, bust, FIT_SCALE[scale])
    return parts


def _adjustment(name: str, bound: np.ndarray) -> np.ndarray:
    """What we change in a part's shape ``bound [P, 3]``, decimetres on the base mesh."""
    change = np.zeros_like(bound)
    if name == "teeth":
        change[:, 0] = (TEETH_NARROWING - 1) * bound[:, 0]
        change[:, 2] = -TEETH_SETBACK
    if name == "tongue":
        change[:] = TONGUE_SHIFT
    if name == "brows":
        centre = np.abs(bound[:, 0]).mean()
        change[:, 1] = BROW_LIFT - np.radians(BROW_TURN) * (np.abs(bound[:, 0]) - centre)
    return change


def _from_proxy(proxy: Proxy, offset, bust: Bust, scale) -> Part:
    """Split vertices at texture seams and translate vertex numbers."""
    corners = np.stack([proxy.faces, proxy.uv_faces], -1).reshape(-1, 2)
    unique, inverse = np.unique(corners, axis=0, return_inverse=True)
    vertex, row = unique.T
    uv = proxy.uv[row] * [1, -1] + [0, 1]
    return Part(
        faces=inverse.reshape(-1, 3),
        uv=uv,
        weld=vertex,
        reference=bust.base_row[proxy.reference[vertex]],
        weight=proxy.weight[vertex],
        offset=offset[vertex] / 10,
        scale_vertices=bust.base_row[[pair[:2] for pair in scale]],
        scale_distance=np.array([pair[2] for pair in scale]) / 10,
    )


def _eyes(mesh: BaseMesh, bust: Bust) -> Part:
    """Two spheres around the base mesh's eye helpers; the subject's right eye comes first.

    Texture: two discs on the diagonal, each the eye as seen from the front.
    """
    faces, directions, flat = _eyeball()
    pieces = []
    for eye, group in enumerate(("helper-r-eye", "helper-l-eye")):
        helpers = np.unique(mesh.quads[group])
        points = mesh.vertices[helpers]
        centre = points.mean(0)
        radius = np.linalg.norm(points - centre, axis=1).mean()
        equator = helpers[np.argsort(np.abs(points[:, 2] - centre[2]), kind="stable")[:8]]
        first = equator[0]
        opposite = np.linalg.norm(
            mesh.vertices[equator] + mesh.vertices[first] - 2 * centre, axis=1
        )
        second = equator[opposite.argmin()]
        reference = np.tile([first, second, first], (len(directions), 1))
        weight = np.tile([0.5, 0.5, 0.0], (len(directions), 1))
        uv = EYE_ISLANDS[eye] + EYE_DISC * flat * [1, -1]
        pieces.append((faces + eye * len(directions), uv, reference, weight, directions * radius))
    extent = []
    for axis in range(3):  # the eyes' own size scales their offsets
        low, high = helpers[points[:, axis].argmin()], helpers[points[:, axis].argmax()]
        extent.append((low, high, points[:, axis].max() - points[:, axis].min()))
    faces, uv, reference, weight, offset = (np.concatenate(x) for x in zip(*pieces, strict=True))
    return Part(
        faces=faces,
        uv=uv,
        weld=np.arange(len(uv)),
        reference=bust.base_row[reference],
        weight=weight,
        offset=offset / 10,
        scale_vertices=bust.base_row[[pair[:2] for pair in extent]],
        scale_distance=np.array([pair[2] for pair in extent]) / 10,
    )


def disc_radius(polar: float) -> float:
    """Distance from the centre of an eye's disc, [0, 1], of a polar angle in degrees."""
    return (polar / EYE_RINGS[-1]) ** EYE_UV_POWER


def _eyeball() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Faces, unit directions ``[P, 3]`` and azimuthal coordinates ``[P, 2]`` of one eyeball."""
    turn = 2 * np.pi * np.arange(EYE_SEGMENTS) / EYE_SEGMENTS
    directions, flat = [[0, 0, 1]], [[0, 0]]
    for ring in EYE_RINGS[1:]:
        polar = np.radians(ring)
        for angle in turn:
            side = np.array([np.cos(angle), np.sin(angle)])
            directions.append([*(side * np.sin(polar)), np.cos(polar)])
            flat.append(side * disc_radius(ring))
    after = np.roll(np.arange(EYE_SEGMENTS), -1)
    here = np.arange(EYE_SEGMENTS)
    faces = [np.stack([np.zeros_like(here), 1 + here, 1 + after], 1)]
    for ring in range(1, len(EYE_RINGS) - 1):
        inner, outer = 1 + (ring - 1) * EYE_SEGMENTS, 1 + ring * EYE_SEGMENTS
        faces.append(np.stack([inner + here, outer + here, outer + after], 1))
        faces.append(np.stack([inner + here, outer + after, inner + after], 1))
    return np.concatenate(faces), np.array(directions), np.array(flat)
