import json
import os
import shutil
import struct
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from pygltflib import GLTF2

import id2head_core
from id2head_core.asset.gltf import glb_bytes, write_glb
from id2head_core.asset.morph_targets import morph_targets
from id2head_core.asset.texture_files import srgb_bytes
from id2head_core.errors import GeometryError
from id2head_core.expressions import EXPRESSIONS
from id2head_core.structures import HeadAppearance, HeadAsset, HeadGeometry
from tests.asset.glb_reader import read_accessor, read_texture
from tests.synthetic_head import STILL_IN_SKIN, synthetic_head


@pytest.fixture(scope="module")
def head() -> HeadAsset:
    return synthetic_head(columns=48, rows=24)


@pytest.fixture(scope="module")
def path(head, tmp_path_factory):
    return write_glb(head, tmp_path_factory.mktemp("asset") / "head.glb")


@pytest.fixture(scope="module")
def document(path) -> GLTF2:
    return GLTF2().load(str(path))


def test_one_mesh_with_the_13_names_in_order(document):
    assert len(document.meshes) == len(document.nodes) == 1
    mesh = document.meshes[0]
    assert mesh.name == document.nodes[0].name == "head"
    assert mesh.extras["targetNames"] == list(EXPRESSIONS)
    assert mesh.weights == [0.0] * 13
    assert [len(primitive.targets) for primitive in mesh.primitives] == [13, 13, 13]
    names = [document.materials[primitive.material].name for primitive in mesh.primitives]
    assert names == ["skin", "eyes", "hair"]


def test_arrays_survive_the_file(document, head):
    for primitive, part in zip(document.meshes[0].primitives, head.geometry.parts, strict=True):
        read = {
            name: read_accessor(document, getattr(primitive.attributes, name))
            for name in ("POSITION", "NORMAL", "TEXCOORD_0")
        }
        np.testing.assert_array_equal(read["POSITION"], part.vertices)
        np.testing.assert_array_equal(read["TEXCOORD_0"], part.uv)
        np.testing.assert_allclose(np.linalg.norm(read["NORMAL"], axis=1), 1, atol=1e-5)
        faces = read_accessor(document, primitive.indices).reshape(-1, 3)
        np.testing.assert_array_equal(faces, part.faces)


def test_sparse_targets_rebuild_every_expression(document, head):
    for primitive, part in zip(document.meshes[0].primitives, head.geometry.parts, strict=True):
        expected = morph_targets(part)
        for index, target in enumerate(primitive.targets):
            np.testing.assert_array_equal(
                read_accessor(document, target["POSITION"]), expected.position_deltas[index]
            )
            np.testing.assert_array_equal(
                read_accessor(document, target["NORMAL"]), expected.normal_deltas[index]
            )


def test_moving_targets_are_sparse_and_still_ones_take_no_bytes(document):
    skin, eyes, _ = document.meshes[0].primitives
    moving = document.accessors[skin.targets[0]["POSITION"]]
    assert 0 < moving.sparse.count < moving.count
    still = document.accessors[skin.targets[EXPRESSIONS.index(STILL_IN_SKIN)]["POSITION"]]
    assert still.sparse is None and still.bufferView is None
    assert len({index for target in eyes.targets for index in target.values()}) == 1


def test_position_bounds_are_those_of_the_data(document):
    for primitive in document.meshes[0].primitives:
        accessors = [primitive.attributes.POSITION]
        accessors += [target["POSITION"] for target in primitive.targets]
        for index in accessors:
            values = read_accessor(document, index)
            assert document.accessors[index].min == values.min(0).tolist()
            assert document.accessors[index].max == values.max(0).tolist()


def test_container_is_aligned_and_complete(path, document):
    data = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    assert len(data) % 4 == 0
    assert all(view.byteOffset % 4 == 0 for view in document.bufferViews)
    assert not list(path.parent.glob("*.part"))


def test_uses_core_features_only(document):
    assert not document.extensionsUsed and not document.extensionsRequired
    assert {image.mimeType for image in document.images} == {"image/jpeg", "image/png"}


def test_opaque_skin_keeps_its_colour(document, head):
    skin = document.materials[0]
    assert (skin.alphaMode, skin.doubleSided) == ("OPAQUE", False)
    assert skin.pbrMetallicRoughness.metallicFactor == 0
    assert skin.pbrMetallicRoughness.roughnessFactor == 0.6
    picture = read_texture(document, skin.pbrMetallicRoughness.baseColorTexture.index)
    assert (picture.format, picture.mode) == ("JPEG", "RGB")
    expected = srgb_bytes(head.appearance.materials["skin"].albedo)
    assert np.abs(np.asarray(picture).astype(int) - expected).mean() < 1.5


def test_hair_is_cut_out_and_seen_from_both_sides(document, head):
    hair = document.materials[2]
    assert (hair.alphaMode, hair.alphaCutoff, hair.doubleSided) == ("MASK", 0.5, True)
    picture = read_texture(document, hair.pbrMetallicRoughness.baseColorTexture.index)
    alpha = head.appearance.materials["hair"].alpha
    np.testing.assert_array_equal(np.asarray(picture)[..., 3], (alpha * 255).astype(np.uint8))
    surface = hair.pbrMetallicRoughness
    roughness = read_texture(document, surface.metallicRoughnessTexture.index).convert("RGB")
    expected = head.appearance.materials["hair"].roughness * 255
    assert np.abs(np.asarray(roughness)[..., 1] - expected).max() < 4
    assert (surface.metallicFactor, surface.roughnessFactor) == (0, 1)


def test_metadata_travels_with_the_file(document):
    assert document.asset.generator == f"ID2Head {id2head_core.__version__}"
    assert "AI-generated likeness" in document.asset.copyright
    assert document.asset.extras["units"] == "metres"
    assert document.asset.extras["settings"] == {"preset": "full", "seed": 0}
    assert document.asset.extras["timings"] == {"fit": 4.2}


def test_collapsed_triangles_are_left_out(head):
    skin = head.geometry.parts[0]
    faces = np.concatenate([skin.faces, [[0, 0, 1]]]).astype(np.int32)
    geometry = HeadGeometry((replace(skin, faces=faces),))
    document = GLTF2.load_from_bytes(glb_bytes(replace(head, geometry=geometry)))
    count = document.accessors[document.meshes[0].primitives[0].indices].count
    assert count == skin.faces.size


def test_a_large_part_gets_32_bit_indices(head):
    large = synthetic_head(columns=300, rows=230)
    document = GLTF2.load_from_bytes(glb_bytes(large))
    skin = document.meshes[0].primitives[0]
    assert document.accessors[skin.indices].componentType == 5125
    faces = read_accessor(document, skin.indices).reshape(-1, 3)
    np.testing.assert_array_equal(faces, large.geometry.parts[0].faces)
    deltas = read_accessor(document, skin.targets[0]["POSITION"])
    np.testing.assert_array_equal(deltas, morph_targets(large.geometry.parts[0]).position_deltas[0])


def test_same_head_same_bytes(head):
    assert glb_bytes(head) == glb_bytes(head)


def test_nothing_is_exported_without_parts_or_material(head, tmp_path):
    with pytest.raises(GeometryError, match="The head has no parts"):
        glb_bytes(replace(head, geometry=HeadGeometry(())))
    with pytest.raises(GeometryError, match="Part 'skin' has no material"):
        write_glb(replace(head, appearance=HeadAppearance({})), tmp_path / "head.glb")
    assert list(tmp_path.iterdir()) == []


def test_size_stays_small_for_25_thousand_triangles():
    head = synthetic_head(256, columns=160, rows=80)
    assert len(head.geometry.parts[0].faces) > 25_000
    assert len(glb_bytes(head)) < 3_000_000


def test_trimesh_reads_it(path, head):
    scene = trimesh.load_scene(path)
    triangles = sum(len(mesh.faces) for mesh in scene.geometry.values())
    assert triangles == sum(len(part.faces) for part in head.geometry.parts)
    np.testing.assert_allclose(scene.bounds[1, 1], 0.132, atol=1e-3)


VALIDATE = """
const validator = require('gltf-validator');
const data = new Uint8Array(require('fs').readFileSync(process.argv[1]));
validator.validateBytes(data).then((report) => console.log(JSON.stringify(report)));
"""


def test_khronos_validator_has_no_complaint(path):
    """Runs where node finds the npm package gltf-validator (for instance through NODE_PATH)."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    if subprocess.run(
        [node, "-e", "require.resolve('gltf-validator')"], capture_output=True
    ).returncode:
        pytest.skip("node does not find the npm package gltf-validator; set NODE_PATH")
    run = subprocess.run(
        [node, "-e", VALIDATE, str(path)], capture_output=True, text=True, check=True
    )
    report = json.loads(run.stdout)
    assert report["issues"]["messages"] == []
    assert report["info"]["hasMorphTargets"]
    assert report["info"]["totalTriangleCount"] > 2000


BLENDER = """
import json, sys
import numpy
numpy.bool = bool  # Blender 3.4's importer uses the name that newer numpy dropped
import bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.import_scene.gltf(filepath=sys.argv[-1])
print("OBJECTS " + json.dumps({
    o.name: [key.name for key in o.data.shape_keys.key_blocks] for o in bpy.data.objects
}))
"""


@pytest.mark.slow
def test_blender_imports_13_shape_keys_on_one_object(path, tmp_path):
    blender = shutil.which("blender")
    if blender is None:
        pytest.skip("blender is not installed")
    run = subprocess.run(
        [blender, "-b", "--python-expr", BLENDER, "--", str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    line = next((line for line in run.stdout.splitlines() if line.startswith("OBJECTS")), None)
    assert line is not None, run.stdout[-2000:] + run.stderr[-2000:]
    assert json.loads(line.removeprefix("OBJECTS ")) == {"head": ["Basis", *EXPRESSIONS]}
