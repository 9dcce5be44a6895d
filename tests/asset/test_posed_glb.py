"""A pose written as a plain mesh, against the asset that the head was written from."""

import numpy as np
import pygltflib
import pytest
import trimesh

from id2head_core.asset.gltf import write_glb
from id2head_core.asset.posed_glb import read_accessor, write_posed_glb
from id2head_core.errors import OptionError
from id2head_core.expressions import EXPRESSIONS
from tests.synthetic_head import synthetic_head


@pytest.fixture(scope="module")
def head():
    return synthetic_head()


@pytest.fixture(scope="module")
def source(head, tmp_path_factory):
    return write_glb(head, tmp_path_factory.mktemp("head") / "head.glb")


def test_vertices_are_the_neutral_plus_weighted_offsets(head, source, tmp_path):
    weights = {"Grin": 0.75, "Angry": 0.5}
    file = write_posed_glb(source, weights, tmp_path / "posed.glb")
    document = pygltflib.GLTF2().load_binary(str(file))
    assert [len(primitive.targets or []) for primitive in document.meshes[0].primitives] == [0] * 3
    for primitive, part in zip(document.meshes[0].primitives, head.geometry.parts, strict=True):
        expected = part.vertices + sum(
            weight * part.displacements[EXPRESSIONS.index(name)] for name, weight in weights.items()
        )
        written = read_accessor(document, primitive.attributes.POSITION)
        np.testing.assert_allclose(written, expected, atol=2e-5)
        normals = read_accessor(document, primitive.attributes.NORMAL)
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    assert document.meshes[0].extras["expression_weights"] == weights


def test_no_weights_are_the_neutral_with_its_textures_and_no_leftovers(head, source, tmp_path):
    file = write_posed_glb(source, {}, tmp_path / "posed.glb")
    scene = trimesh.load(file)
    assert len(scene.geometry) == len(head.geometry.parts)
    for mesh in scene.geometry.values():
        assert mesh.visual.material.baseColorTexture.size[0] >= 8
    assert file.stat().st_size < 0.7 * source.stat().st_size


def test_unknown_expression_is_refused(source, tmp_path):
    with pytest.raises(OptionError, match="'Smirk' is unknown"):
        write_posed_glb(source, {"Smirk": 1.0}, tmp_path / "posed.glb")
