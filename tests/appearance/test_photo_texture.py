"""De-lighting, symmetry and fold removal on the real atlas with synthetic photos."""

import numpy as np
import pytest

from id2head_core.appearance.completion import complete_skin
from id2head_core.appearance.delight import plausible_tint, remove_light
from id2head_core.appearance.expression_removal import soften_folds
from id2head_core.appearance.face_regions import FaceRegions
from id2head_core.appearance.photo_projection import PhotoTexture
from id2head_core.appearance.uv_atlas import UVAtlas
from id2head_core.colour import luma, to_linear, to_srgb
from id2head_core.render.normals import vertex_normals
from id2head_core.template.head_template import HeadTemplate


@pytest.fixture(scope="module")
def regions():
    template = HeadTemplate.load()
    return FaceRegions(template, UVAtlas(template, 256))


def lit_photo(regions, direction):
    """Grey-brown skin lit from one side, seen everywhere on the face."""
    template = regions.template
    normals = vertex_normals(
        template.mean[template.skin_vertex], template.skin_faces, template.skin_vertex
    )
    normal = regions.atlas.render_image(normals)
    shading = 0.5 + 0.5 * normal @ (np.array(direction) / np.linalg.norm(direction))
    colour = np.array([0.4, 0.28, 0.2]) * shading[..., None]
    weight = regions.face * regions.atlas.mask
    probabilities = np.zeros((*weight.shape, 19), np.float32)
    return PhotoTexture(
        colour.astype(np.float32), weight.astype(np.float32), normal, normal[..., 2], probabilities
    )


def test_mirror_of_the_mirror_is_the_image(regions):
    image = np.where(regions.atlas.mask, regions.x, 0).astype(np.float32)
    mirrored = regions.atlas.mirrored(image)
    inside = regions.face > 0.9
    assert np.percentile(np.abs(mirrored + image)[inside], 99.5) < 0.05  # x changes its sign


def test_side_light_is_removed(regions):
    photo = lit_photo(regions, [1.0, 0.2, 0.6])
    albedo = remove_light(photo, regions)
    cheeks = regions.skin_reference & (photo.weight > 0.9) & (np.abs(regions.x) > 0.3)
    left, right = cheeks & (regions.x > 0), cheeks & (regions.x < 0)

    def imbalance(image):
        return abs(np.log(luma(image)[left].mean() / luma(image)[right].mean()))

    assert imbalance(albedo) < 0.35 * imbalance(photo.colour)


def test_seen_texels_survive_completion(regions):
    photo = lit_photo(regions, [0, 0, 1])
    stock = np.full((256, 256, 3), 0.25, np.float32)
    out = complete_skin(photo.colour, photo.weight, stock, regions)
    core = (photo.weight > 0.99) & (regions.eye_distance() < 0.8)
    assert np.median(np.abs(out - photo.colour)[core]) < 0.015
    assert np.isfinite(out).all() and (out[regions.atlas.mask] > 0.01).all()


def test_folds_fade_only_with_an_expression(regions):
    names = ("mouthSmileLeft", "mouthSmileRight")
    albedo = np.full((256, 256, 3), 0.3, np.float32)
    fold = (np.abs(np.abs(regions.x) - 0.45) < 0.03) & (np.abs(regions.y + 0.8) < 0.3)
    albedo[fold] *= 0.6
    still = soften_folds(albedo, names, np.zeros(2), regions)
    assert np.array_equal(still, albedo)
    smiling = soften_folds(albedo, names, np.ones(2), regions)
    assert smiling[fold].mean() > albedo[fold].mean() * 1.05


def test_folds_lose_their_redness_and_a_blush_keeps_it(regions):
    names = ("mouthSmileLeft", "mouthSmileRight")
    band = (np.abs(np.abs(regions.x) - 0.45) < 0.03) & (np.abs(regions.y + 0.8) < 0.3)
    redness = {}
    for what, factors in {"fold": (0.75, 0.5, 0.35), "blush": (1.2, 0.97, 0.8)}.items():
        albedo = np.full((256, 256, 3), 0.3, np.float32)
        albedo[band] *= factors
        smiling = soften_folds(albedo, names, np.ones(2), regions)
        tints = [
            np.log(image[band][:, 0] / image[band][:, 2]).mean() for image in (albedo, smiling)
        ]
        redness[what] = tints[1] / tints[0]
    assert redness["fold"] < 0.75
    assert redness["blush"] > 0.97


@pytest.mark.parametrize(
    ("srgb", "changes"),
    [
        ((200, 127, 106), True),
        ((161, 93, 66), True),
        ((96, 70, 60), False),
        ((183, 146, 134), False),
    ],
)
def test_skin_loses_part_of_a_tint_that_skin_does_not_have(srgb, changes):
    """Orange skin under warm light gets less orange; usual dark and fair skin is left alone."""
    colour = to_linear(np.array(srgb) / 255.0)
    tinted = 255 * to_srgb(plausible_tint(colour))
    if not changes:
        assert tinted == pytest.approx(srgb, abs=1)
        return
    assert tinted[0] < srgb[0] - 3 and tinted[1] > srgb[1] + 1
    assert luma(plausible_tint(colour)) == pytest.approx(luma(colour), rel=0.05)


def test_grey_and_dark_bands_of_grazing_skin_take_the_colour_of_the_cheeks(regions):
    photo = lit_photo(regions, [0, 0, 1])
    photo.probabilities[..., 1] = 1
    band = (np.abs(regions.x) > 0.55) & (photo.facing > 0.3) & (photo.facing < 0.7)
    band &= (photo.weight > 0.5) & (regions.beard < 0.2)
    assert band.sum() > 150
    photo.colour[band] = (0.22, 0.22, 0.24)
    albedo = remove_light(photo, regions)
    cheek = np.median(albedo[regions.skin_reference & (photo.weight > 0.7) & ~band], axis=0)
    before, after = np.median(photo.colour[band], axis=0), np.median(albedo[band], axis=0)

    def redness(colour):
        return np.log(colour[0] / colour[2])

    assert abs(redness(after) - redness(cheek)) < 0.55 * abs(redness(before) - redness(cheek))
    assert abs(np.log(luma(after) / luma(cheek))) < 0.95 * abs(np.log(luma(before) / luma(cheek)))
