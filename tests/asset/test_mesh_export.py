from dataclasses import replace

import numpy as np
import pytest
import trimesh

from id2head_core.asset.mesh_export import write_mesh
from id2head_core.asset.texture_files import srgb_bytes
from id2head_core.errors import GeometryError, OptionError
from id2head_core.structures import HeadAppearance, HeadGeometry
from tests.synthetic_head import synthetic_head


@pytest.fixture(scope="module")
def head():
    return synthetic_head()


def test_obj_comes_with_material_and_one_picture_per_part(head, tmp_path):
    path = write_mesh(head, tmp_path / "anna.obj")
    files = {file.name for file in tmp_path.iterdir()}
    pictures = {"anna_skin.jpeg", "anna_eyes.jpeg", "anna_hair.png"}
    assert files == {"anna.obj", "anna.mtl"} | pictures
    material = (tmp_path / "anna.mtl").read_text()
    assert material.count("map_Kd") == 3
    assert "map_d anna_hair.png" in material and material.count("map_d") == 1

    scene = trimesh.load_scene(path)
    assert set(scene.geometry) == {"anna_skin", "anna_eyes", "anna_hair"}
    for part in head.geometry.parts:
        mesh = scene.geometry[f"anna_{part.name}"]
        np.testing.assert_allclose(mesh.bounds[1], part.vertices.max(0), atol=1e-6)
        assert len(mesh.faces) == len(part.faces)
        picture = np.asarray(mesh.visual.material.image)[..., :3]
        assert picture.shape == head.appearance.materials[part.name].albedo.shape


def test_obj_counts_v_from_the_bottom_and_keeps_normals(head, tmp_path):
    path = write_mesh(head, tmp_path / "head.obj")
    lines = path.read_text().splitlines()
    first = {
        key: next(line for line in lines if line.startswith(key + " ")) for key in ("vt", "vn")
    }
    assert [float(x) for x in first["vt"].split()[1:]] == [0, 1]  # uv (0, 0) of the north pole
    assert [float(x) for x in first["vn"].split()[1:]] == pytest.approx([0, 1, 0], abs=1e-6)
    assert sum(line.startswith("vn ") for line in lines) == sum(
        len(part.vertices) for part in head.geometry.parts
    )


def test_ply_is_one_mesh_with_srgb_colours(head, tmp_path):
    mesh = trimesh.load(write_mesh(head, tmp_path / "head.ply"), process=False)
    skin = head.geometry.parts[0]
    assert len(mesh.vertices) == sum(len(part.vertices) for part in head.geometry.parts)
    np.testing.assert_allclose(mesh.vertices[: len(skin.vertices)], skin.vertices, atol=1e-6)
    albedo = head.appearance.materials["skin"].albedo
    middle = len(skin.vertices) // 2  # uv (0.5, 0.5)
    expected = srgb_bytes(albedo[15:17, 15:17].mean((0, 1)))
    assert np.abs(mesh.visual.vertex_colors[middle, :3].astype(int) - expected).max() <= 1
    assert len(np.unique(mesh.visual.vertex_colors[: len(skin.vertices)], axis=0)) > 20


def test_other_formats_and_broken_heads_are_refused(head, tmp_path):
    with pytest.raises(OptionError, match=r"'head.fbx' has the suffix '.fbx'. Use .obj or .ply"):
        write_mesh(head, tmp_path / "head.fbx")
    with pytest.raises(GeometryError, match="Part 'skin' has no material"):
        write_mesh(replace(head, appearance=HeadAppearance({})), tmp_path / "head.obj")
    empty = replace(head.geometry.parts[0], faces=np.zeros((0, 3), np.int32))
    with pytest.raises(GeometryError, match="is empty"):
        write_mesh(replace(head, geometry=HeadGeometry((empty,))), tmp_path / "head.ply")
    assert list(tmp_path.iterdir()) == []
