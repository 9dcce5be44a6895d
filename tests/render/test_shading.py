"""Tone, sRGB, highlights, and the compiled light against its twins in ``shading``."""

import numpy as np
import pytest
import torch

from id2head_core.render import shading
from id2head_core.render.lighting import ambient_occlusion, light_surface
from id2head_core.render.surface_buffer import SurfaceBuffer

NO_HAIR = np.zeros((0, 0, 4), np.float32)
UP = np.array([0, 1.0, 0])


def _normals(count, seed=0):
    normals = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    normals[:, 2] = abs(normals[:, 2]) + 0.2
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _surface(size=24):
    generator = np.random.default_rng(0)
    return SurfaceBuffer(
        generator.uniform(0, 0.9, (size, size, 3)).astype(np.float32),
        generator.uniform(0.3, 1, (size, size)).astype(np.float32),
        _normals(size * size).reshape(size, size, 3),
        np.ones((size, size), np.float32),
        generator.choice([0, 0.5, 1], (size, size)).astype(np.float32),
        np.zeros((size, size), np.int16),
        NO_HAIR,
    )


def test_tone_keeps_mid_tones_and_orders_highlights():
    ramp = np.linspace(0, 5, 501)[:, None] * np.ones(3)
    toned = shading.tone_mapped(ramp)
    assert np.array_equal(toned[:81], ramp[:81])
    assert (np.diff(toned[:, 0]) > 0).all() and toned.max() < 1
    assert np.abs(np.diff(toned[:, 0])).max() < 0.011  # no step at the shoulder
    coloured = shading.tone_mapped(np.array([[4.0, 2.0, 1.0]]))[0]
    assert coloured[0] > coloured[1] > coloured[2] > 0.25 * coloured[0]


def test_srgb_round_trip_and_torch():
    linear = np.linspace(0, 1, 1001).astype(np.float32)
    encoded = shading.linear_to_srgb(linear)
    assert encoded[0] == 0 and encoded[-1] == pytest.approx(1)
    assert encoded[214] == pytest.approx(0.5, abs=1e-3)  # 21.4 % is middle grey
    assert np.allclose(shading.srgb_to_linear(encoded), linear, atol=2e-4)
    as_torch = shading.linear_to_srgb(torch.from_numpy(linear))
    assert np.allclose(as_torch.numpy(), encoded, atol=4e-4)
    inside = torch.linspace(0.02, 0.98, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(shading.linear_to_srgb, (inside,))


def test_diffuse_shading_gradcheck():
    normals = torch.from_numpy(_normals(5).astype(float)).requires_grad_()
    light = torch.randn(9, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(shading.diffuse_shading, (normals, light))


def test_highlight_peaks_at_the_mirror_direction():
    normals = _normals(20_000)
    view, light = np.array([[0, 0, 1.0]]), np.array([0.6, 0, 0.8])
    shine = shading.specular_highlight(
        normals, np.repeat(view, len(normals), 0), light, np.full(len(normals), 0.3)
    )
    half = (view[0] + light) / np.linalg.norm(view[0] + light)
    assert normals[shine.argmax()] @ half > 0.995
    assert shine.min() >= 0


def test_compiled_light_equals_its_twin():
    surface = _surface()
    size = len(surface.albedo)
    generator = np.random.default_rng(2)
    light = np.zeros((9, 3), np.float32)
    light[0] = 2.5
    light[1:] = generator.normal(0, 0.3, (8, 3))
    openness = generator.uniform(0.3, 1, (size, size)).astype(np.float32)
    towards = np.array([[0.3, 0.5, 0.8]], np.float32)
    towards /= np.linalg.norm(towards)
    rays = np.array([-0.2, 0.4 / size, 0.2, -0.4 / size])
    image = light_surface(
        surface, openness, shading.irradiance_coefficients(light), towards, 0.8,
        np.array([0.7]), np.array([0.9]), UP, rays, np.full((size, size, 3), 0.25),
    )  # fmt: skip
    row, column = np.mgrid[:size, :size]
    along = np.stack(
        [rays[0] + rays[1] * column, rays[2] + rays[3] * row, -np.ones_like(openness)], -1
    )
    views = (-along / np.linalg.norm(along, axis=-1, keepdims=True)).reshape(-1, 3)
    normals = surface.normals.reshape(-1, 3)
    air = (openness * 0.9).reshape(-1)
    diffuse = np.maximum(shading.diffuse_shading(normals, light), 0.02)
    shine = shading.specular_highlight(normals, views, towards[0], surface.roughness.reshape(-1))
    colour = surface.albedo.reshape(-1, 3) * diffuse * air[:, None] ** np.array([0.8, 1.0, 1.1])
    colour = shading.linear_to_srgb(
        shading.tone_mapped(colour + (0.7 * 0.8 * shine * air)[:, None])
    )
    expected = 0.25 + (colour.reshape(size, size, 3) - 0.25) * surface.coverage[..., None]
    assert np.abs(image - expected).max() < 2e-3


def test_occlusion_darkens_a_pit_and_leaves_a_plane_alone():
    size = 128
    row, column = np.mgrid[:size, :size]
    distance = np.hypot(row - size / 2, column - size / 2) / 1000  # 1 pixel = 1 mm
    for depth_of_pit, low, high in ((0.0, 0.99, 1.0), (0.02, 0.0, 0.8)):
        depth = 1 + depth_of_pit * (distance < 0.012)
        normals = np.zeros((size, size, 3), np.float32)
        normals[..., 2] = 1
        flat = np.ones((size, size), np.float32)
        surface = SurfaceBuffer(
            normals, flat, normals, depth.astype(np.float32), flat, flat, NO_HAIR
        )
        openness = ambient_occlusion(surface, 1000.0)
        assert low <= openness[size // 2, size // 2] <= high
        assert openness[10:20, 10:20].min() > 0.95
