"""Spherical harmonics: constants, rotation, brute-force integrals, gradients, presets."""

import numpy as np
import pytest
import torch

from id2head_core.appearance import spherical_harmonics as sh
from id2head_core.errors import OptionError


def _directions(count, seed=0):
    normals = np.random.default_rng(seed).normal(size=(count, 3))
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def test_basis_is_orthonormal():
    normals = _directions(400_000)
    basis = sh.sh_basis(normals)
    gram = 4 * np.pi * basis.T @ basis / len(normals)
    assert np.allclose(gram, np.eye(9), atol=0.02)


def test_constant_light_shades_constantly_to_one():
    shaded = sh.diffuse_shading(_directions(100), sh.preset_light("diffuse").astype(float))
    assert np.allclose(shaded, 1.0, atol=1e-6)


def test_shading_is_the_cosine_integral_of_the_radiance():
    """Against a brute-force integral of max(0, n.d) L(d) / pi over the sphere."""
    generator = np.random.default_rng(1)
    coefficients = generator.normal(size=(9, 3))
    directions = _directions(400_000, 2)
    radiance = sh.sh_basis(directions) @ coefficients
    for normal in _directions(3, 3):
        cosine = np.clip(directions @ normal, 0, None)[:, None]
        expected = 4 * (cosine * radiance).mean(0)
        assert np.allclose(sh.diffuse_shading(normal, coefficients), expected, atol=0.03)


def test_rotated_light_shades_rotated_normals_alike():
    generator = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    light = generator.normal(size=(9, 3))
    normals = _directions(50)
    turned = sh.diffuse_shading(normals @ rotation.T, sh.rotated(light, rotation))
    assert np.allclose(turned, sh.diffuse_shading(normals, light), atol=1e-5)


def test_a_light_is_brightest_where_the_surface_faces_it():
    normals = _directions(4000)
    direction = np.array([0.6, 0.0, 0.8])
    light = sh.directional_light(direction * 3, intensity=0.7, fill=0.2).astype(float)
    shaded = sh.diffuse_shading(normals, light)[:, 0]
    assert normals[shaded.argmax()] @ direction > 0.99
    assert sh.diffuse_shading(direction, light) == pytest.approx([0.9] * 3, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "axis", "sign"), [("front", 2, 1), ("back", 2, -1), ("right", 0, 1), ("left", 0, -1)]
)
def test_presets_come_from_where_they_say(name, axis, sign):
    normal = np.zeros(3)
    normal[axis] = sign
    light = sh.preset_light(name)
    assert light.shape == (9, 3) and light.dtype == np.float32
    assert (sh.diffuse_shading(normal, light) > sh.diffuse_shading(-normal, light) + 0.3).all()


def test_every_preset_exposes_its_bright_side_well():
    for name in sh.PRESETS:
        brightest = sh.diffuse_shading(_directions(2000), sh.preset_light(name)).max()
        assert 0.95 <= brightest <= 1.1, name


def test_numpy_and_torch_agree_and_gradcheck():
    normals, light = _directions(4), sh.preset_light("right").astype(float)
    as_torch = sh.diffuse_shading(torch.from_numpy(normals), torch.from_numpy(light))
    assert np.allclose(as_torch.numpy(), sh.diffuse_shading(normals, light))
    args = [torch.from_numpy(a).requires_grad_() for a in (normals, light)]
    assert torch.autograd.gradcheck(sh.diffuse_shading, args)


def test_random_lights_repeat_with_the_seed_and_stay_in_range():
    first = sh.random_light(np.random.default_rng(5))
    assert np.array_equal(first, sh.random_light(np.random.default_rng(5)))
    assert not np.array_equal(first, sh.random_light(np.random.default_rng(6)))
    generator = np.random.default_rng(0)
    peaks = [
        sh.diffuse_shading(_directions(500), sh.random_light(generator)).max() for _ in range(50)
    ]
    assert 0.7 < min(peaks) and max(peaks) < 1.7


def test_errors_name_the_value():
    with pytest.raises(OptionError, match="Light 'moon' is unknown"):
        sh.preset_light("moon")
    with pytest.raises(OptionError, match="has no length"):
        sh.directional_light((0, 0, 0))
