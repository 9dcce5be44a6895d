"""The offline bake's own algorithms, on meshes small enough to check by hand."""

import gzip

import numpy as np
import pytest

from id2head_core.training import bake_atlas, bake_bust, bake_identities, bake_sources, bake_teeth


def grid(side):
    """A flat square of ``side x side`` quads in triangles, facing +Z."""
    x, y = np.meshgrid(np.arange(side + 1), np.arange(side + 1))
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], 1).astype(float)
    a = (np.arange(side)[:, None] * (side + 1) + np.arange(side)).ravel()
    b, c, d = a + 1, a + side + 2, a + side + 1
    return vertices, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])


def test_shapes_are_read_sparse(tmp_path):
    path = tmp_path / "smile.target.gz"
    with gzip.open(path, "wt") as file:
        file.write("# a comment\n3 0.5 -1 2\n7 0 0 .25\n")
    shape = bake_sources.read_shape(path)
    assert shape.shape == (bake_sources.VERTEX_COUNT, 3)
    assert shape[3].tolist() == [0.5, -1, 2] and shape[7].tolist() == [0, 0, 0.25]
    assert np.count_nonzero(shape.any(1)) == 2


def test_faces_of_threejs():
    # a quad with a material and texture corners, then a plain triangle
    stream = [1 | 2 | 8, 0, 1, 2, 3, 9, 10, 11, 12, 13, 8, 4, 5, 6, 14, 15, 16]
    faces, uv_faces = bake_sources._decode_faces(stream)
    assert faces.tolist() == [[0, 1, 2], [0, 2, 3], [4, 5, 6]]
    assert uv_faces.tolist() == [[10, 11, 12], [10, 12, 13], [14, 15, 16]]


def test_clipping_cuts_at_the_level():
    vertices, faces = grid(4)
    level = np.ones(bake_sources.VERTEX_COUNT)
    level[: len(vertices)] = vertices[:, 0] - 2.25
    uv = vertices[:, :2] / 4
    out, uv_out, crossings, uv = bake_bust._clip(faces, faces, uv, level)
    positions = {i: vertices[i] for i in range(len(vertices))}
    for row, (a, b, share) in enumerate(crossings, bake_sources.VERTEX_COUNT):
        positions[row] = (1 - share) * vertices[a] + share * vertices[b]
        assert positions[row][0] == pytest.approx(2.25)
    corners = np.array([[positions[v] for v in face] for face in out])
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] / 2
    assert (area > 0).all() and area.sum() == pytest.approx(2.25 * 4)
    np.testing.assert_allclose(uv[uv_out] * 4, corners[..., :2], atol=1e-12)


def test_collapse_keeps_a_flat_square():
    vertices, faces = grid(8)
    out, uv_out = bake_teeth._collapse(vertices, faces, faces, 60)
    assert len(out) <= 60 and (out == uv_out).all()
    corners = vertices[out]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] / 2
    assert (area > 0).all() and area.sum() == pytest.approx(64)


@pytest.mark.parametrize("name", bake_atlas.ISLANDS)
def test_islands_are_inverted_exactly(name):
    island = bake_atlas.ISLANDS[name]
    left, bottom, right, top = island.source
    generator = np.random.default_rng(0)
    source = generator.uniform((left, bottom), (right, top), (200, 2))
    placed = island.place(source)
    np.testing.assert_allclose(island.source_uv(placed), source, atol=2e-6)
    x0, y0, x1, y1 = (edge / bake_atlas.ATLAS for edge in island.target)
    assert (placed >= (x0, y0)).all() and (placed <= (x1, y1)).all()


def test_phenotypes_are_partitions_of_unity():
    phenotype = {"african": 1, "asian": 2, "caucasian": 1, "age": 0.8, "gender": 0.3, "muscle": 0.1}
    shares = bake_identities.phenotype_shares(phenotype)
    for values in bake_sources.PHENOTYPES.values():
        assert sum(shares[v] for v in values) == pytest.approx(1)
    assert shares["asian"] == 0.5 and shares["female"] == pytest.approx(0.3)
    assert shares["young"] == pytest.approx(0.6) and shares["child"] == 0


def test_identity_basis_recovers_a_single_mode():
    """Heads that differ by one symmetric shape give that shape back, without its translation."""
    base = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)
    base[20:] = base[:20] * [-1, 1, 1]
    mirror = np.r_[20:40, 0:20]
    mode = np.random.default_rng(2).normal(size=(40, 3)).astype(np.float32)
    mode[20:] = mode[:20] * [-1, 1, 1]
    space = bake_identities.ShapeSpace(
        base, [], np.zeros((0, 40, 3), np.float32), {"nose-scale": (0.01 * mode, -0.01 * mode)}
    )
    everywhere = np.ones(40, bool)
    _, basis, explained = bake_identities.identity_basis(
        space, mirror, everywhere, everywhere, components=2, samples=60, seed=0
    )
    assert explained[0] > 0.999
    assert np.linalg.norm(basis[0]) > 50 * np.linalg.norm(basis[1])
    np.testing.assert_allclose(basis[0].mean(0), 0, atol=1e-6)  # position is normalised away
    np.testing.assert_allclose(basis[0][mirror] * [-1, 1, 1], basis[0], atol=1e-5)
