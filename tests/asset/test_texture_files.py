import io

import numpy as np
from PIL import Image

from id2head_core.asset.texture_files import base_colour_image, encode, roughness_image, srgb_bytes
from id2head_core.structures import Material


def test_srgb_matches_known_values():
    linear = np.array([-1.0, 0.0, 0.0031308, 0.18, 0.2158605, 0.5, 1.0, 2.0])
    assert srgb_bytes(linear).tolist() == [0, 0, 10, 118, 128, 188, 255, 255]


def test_invisible_texels_take_the_nearest_visible_colour():
    albedo = np.zeros((4, 8, 3), np.float32)
    albedo[:, :2] = (1.0, 0.0, 0.0)
    albedo[:, -1] = (0.0, 1.0, 0.0)
    alpha = np.zeros((4, 8), np.float32)
    alpha[:, [0, 1, 7]] = 1
    picture = np.asarray(base_colour_image(Material(albedo, alpha)))
    assert picture.shape == (4, 8, 4)
    assert (picture[:, :4, :3] == (255, 0, 0)).all()
    assert (picture[:, 5:, :3] == (0, 255, 0)).all()
    assert picture[0, :, 3].tolist() == [255, 255, 0, 0, 0, 0, 0, 255]


def test_a_fully_transparent_material_is_still_a_picture():
    picture = base_colour_image(Material(np.full((4, 4, 3), 0.5), np.zeros((4, 4))))
    assert picture.mode == "RGBA" and not np.asarray(picture)[..., 3].any()


def test_formats():
    opaque = Image.new("RGB", (8, 8), (200, 40, 30))
    data, mime_type = encode(opaque)
    assert mime_type == "image/jpeg" and data[:3] == b"\xff\xd8\xff"
    cut_out = opaque.convert("RGBA")
    data, mime_type = encode(cut_out)
    assert mime_type == "image/png"
    np.testing.assert_array_equal(Image.open(io.BytesIO(data)), cut_out)


def test_roughness_is_linear():
    picture = np.asarray(roughness_image(np.array([[0.0, 0.5, 1.0]])))
    assert picture.tolist() == [[0, 128, 255]]
