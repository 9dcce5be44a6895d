"""Keep the part of the teeth that an open mouth can show, with fewer triangles."""

import heapq

import numpy as np
import torch

from ..camera import orbit_camera
from ..render.cpu_rasterizer import CpuRasterizer
from .bake_sources import Proxy

FACES = 4200
"""Triangles that are kept."""

VIEWS = [(yaw, pitch) for yaw in (-60, -40, -20, 0, 20, 40, 60) for pitch in (-35, -15, 0, 15, 35)]
"""Directions from which the teeth are looked at, degrees."""


def reduce_teeth(teeth: Proxy, vertices: np.ndarray) -> Proxy:
    """Drop hidden faces and simplify the rest by collapsing edges onto their vertices.

    Args:
        teeth: the proxy.
        vertices: its vertices ``[P, 3]`` on the base mesh, decimetres.
    """
    seen = _visible_faces(vertices, teeth.faces)
    faces, uv_faces = teeth.faces[seen], teeth.uv_faces[seen]
    faces, uv_faces = _collapse(vertices, faces, uv_faces, FACES)
    return Proxy(
        teeth.reference, teeth.weight, teeth.offset, faces, uv_faces, teeth.uv, teeth.texture
    )


def _visible_faces(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Bool ``[F]``: faces that one of the views shows with the jaws up to 4 cm apart."""
    count = len(vertices)
    seen = np.zeros(len(faces), bool)
    upper = vertices[:, 1] > np.median(vertices[:, 1])
    for opened in (0.0, 0.2, 0.4):
        moved = vertices.copy()
        moved[~upper, 1] -= opened
        moved = ((moved - moved.mean(0)) / 10).astype(np.float32)
        for yaw, pitch in VIEWS:
            camera = orbit_camera(yaw, pitch, distance=1.0, fov_y=5.5)
            clip = torch.from_numpy(camera.clip_positions(moved))
            fragments = CpuRasterizer().rasterize(clip, torch.from_numpy(faces), 512, 512)
            hit = fragments.face_index.numpy()
            seen[np.unique(hit[hit >= 0])] = True
    # one ring more, so that no border shows
    near = np.zeros(count, bool)
    near[faces[seen]] = True
    return near[faces].all(1)


def _collapse(vertices, faces, uv_faces, target: int):
    """Half-edge collapses in the order of their quadric error (Garland & Heckbert 1997).

    Vertices at seams and borders stay, so bindings and texture coordinates survive unchanged.
    """
    faces, uv_faces = faces.copy(), uv_faces.copy()
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = normals / np.maximum(area, 1e-12)
    plane = np.c_[normals, -(normals * corners[:, 0]).sum(1)]  # [F, 4]
    quadric = np.zeros((len(vertices), 4, 4))
    for corner in range(3):
        np.add.at(quadric, faces[:, corner], plane[:, :, None] * plane[:, None] * area[:, None])
    around: dict[int, set[int]] = {}
    rows: dict[int, set[int]] = {}
    for index, (face, uv_face) in enumerate(zip(faces.tolist(), uv_faces.tolist(), strict=True)):
        for vertex, row in zip(face, uv_face, strict=True):
            around.setdefault(vertex, set()).add(index)
            rows.setdefault(vertex, set()).add(row)
    edge_count: dict[tuple[int, int], int] = {}
    for face in faces.tolist():
        for i in range(3):
            key = tuple(sorted((face[i], face[(i + 1) % 3])))
            edge_count[key] = edge_count.get(key, 0) + 1
    fixed = {v for v, r in rows.items() if len(r) > 1}
    fixed |= {v for key, n in edge_count.items() if n != 2 for v in key}
    point = np.c_[vertices, np.ones(len(vertices))]

    def cost(a, b):  # of moving a onto b
        return float(point[b] @ (quadric[a] + quadric[b]) @ point[b])

    heap = [
        (cost(a, b), a, b) for key in sorted(edge_count) for a, b in (key, key[::-1])
        if a not in fixed
    ]  # fmt: skip
    heapq.heapify(heap)
    alive = len(faces)
    dead = np.zeros(len(faces), bool)
    while alive > target and heap:
        price, a, b = heapq.heappop(heap)
        both = around.get(a, set()) & around.get(b, set())
        if (
            not both
            or price < cost(a, b) - 1e-15
            or not _sound(a, b, around, faces, vertices, both)
        ):
            continue
        row = next(int(uv_faces[f][list(faces[f]).index(b)]) for f in sorted(both))
        for face in both:
            dead[face] = True
            for vertex in faces[face]:
                around[int(vertex)].discard(face)
        alive -= len(both)
        for face in around.pop(a):
            corner = list(faces[face]).index(a)
            faces[face, corner], uv_faces[face, corner] = b, row
            around[b].add(face)
        quadric[b] += quadric[a]
        for face in around[b]:
            for vertex in faces[face].tolist():
                if vertex != b:
                    for one, two in ((vertex, b), (b, vertex)):
                        if one not in fixed:
                            heapq.heappush(heap, (cost(one, two), one, two))
    return faces[~dead], uv_faces[~dead]


def _sound(a: int, b: int, around, faces, vertices, both) -> bool:
    """Whether moving a onto b keeps the surface a manifold and turns no face over."""
    ring_a = {int(v) for f in around[a] for v in faces[f]} - {a, b}
    ring_b = {int(v) for f in around[b] for v in faces[f]} - {a, b}
    if len(ring_a & ring_b) != len(both):
        return False
    for face in around[a] - both:
        old = vertices[faces[face]]
        new = vertices[[b if v == a else v for v in faces[face].tolist()]]
        before = np.cross(old[1] - old[0], old[2] - old[0])
        after = np.cross(new[1] - new[0], new[2] - new[0])
        if before @ after <= 0.3 * np.linalg.norm(before) * np.linalg.norm(after):
            return False
    return True
