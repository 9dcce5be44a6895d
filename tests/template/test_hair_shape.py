"""The shape of the hair that the photo fit makes: hairlines, hanging hair, locks, strands."""

import cv2
import numpy as np
import pytest

from id2head_core.appearance.hair_edge import outline_alpha, photo_outline
from id2head_core.appearance.hair_sheet import HairSheet, grid_places
from id2head_core.appearance.hair_texture import hair_material
from id2head_core.structures import HairFit
from id2head_core.template.hair import HairTemplate, texture_uv
from id2head_core.template.hair_combing import carried
from id2head_core.template.hair_fit import LONGEST, fit_hair
from id2head_core.template.hair_locks import lock_relief
from id2head_core.template.hair_thickness import hanging
from id2head_core.template.hair_view import HairView
from id2head_core.template.head_template import HeadTemplate
from tests.template.hair_oracle import SIZE, person, silhouettes, style

LUMA = np.array([0.2126, 0.7152, 0.0722])


@pytest.fixture(scope="module")
def head():
    return HeadTemplate.load()


@pytest.fixture(scope="module")
def hair_template():
    return HairTemplate.load()


def fitted(template, head, name, **options):
    """Hair fitted to a photo of a template style, and what it was fitted to."""
    wanted, body, fit = silhouettes(template, head, style(template, name))
    identity = person(wanted, body, **options)
    return fit_hair(template, identity, fit), identity, fit


def test_hair_is_thin_where_it_grows_and_thickens_inwards(hair_template, head):
    hair, identity, fit = fitted(hair_template, head, "ponytail01")
    inner = hair_template.outline_distance(hair.thickness)
    x, y, z = np.moveaxis(hair_template.image(hair_template.proxy_vertices(head.mean)), -1, 0)
    thickness = hair_template.image(hair.thickness)
    forehead = (z > 0.05) & (abs(x) < 0.04) & (y > 0.04) & (thickness > 0)
    edge, further = forehead & (inner < 0.006), forehead & (inner > 0.015)
    assert thickness[edge].max() < 0.004
    assert np.median(thickness[further]) > 0.005


def test_only_bangs_hang_over_the_forehead(hair_template, head):
    x, y, z = np.moveaxis(hair_template.image(hair_template.proxy_vertices(head.mean)), -1, 0)
    forehead = (z > 0.07) & (abs(x) < 0.03) & (y > 0.03) & (y < 0.06)
    hangs = {}
    for name in ("bob02", "short01"):
        hair, _, _ = fitted(hair_template, head, name)
        hangs[name] = hanging(hair_template, hair_template.image(hair.thickness) > 0)[forehead]
    assert hangs["bob02"].mean() > 0.5
    assert hangs["short01"].max() < 0.1


def test_long_hair_falls_straight_behind_and_ends_above_the_rim(hair_template, head):
    hair, _, fit = fitted(hair_template, head, "long01")
    proxy = hair_template.proxy_vertices(head.mean)
    shell = proxy + hair_template.directions(head.mean) * np.maximum(hair.thickness, 0)[:, None]
    y = hair_template.image(proxy)[..., 1]
    has = hair_template.image(hair.thickness) > 0
    assert y[has].min() > LONGEST - 0.015 and y[has].min() < -0.1
    behind = hair_template.image(shell)[:, :6, 2]
    at = {height: behind[np.abs(y[:, 0] - height).argmin()].mean() for height in (0.0, -0.06, -0.1)}
    assert at[-0.06] < at[0.0] + 0.006 and at[-0.1] < at[0.0] + 0.01  # not in to the neck
    assert at[-0.1] > at[0.0] - 0.02  # nor out over the shoulders


@pytest.mark.parametrize("slope", [0.6, -0.6])
def test_strands_are_carried_along_their_slope(slope):
    u = 96 * carried(np.full((30, 97), slope))
    assert (np.diff(u, axis=1) > 0.2).all()
    assert u[:, 0] == pytest.approx(0) and u[:, -1] == pytest.approx(96, abs=1e-3)
    assert u[:3, 48] == pytest.approx(48, abs=0.5)
    row = np.arange(12, 22)
    moved = [np.interp(48 + slope * (r - 12), np.arange(97), u[r]) for r in row]
    assert moved == pytest.approx([u[12, 48]] * 10, abs=0.5)  # one strand, one u


@pytest.mark.parametrize("tilt", [35, -35])
def test_strands_run_where_the_photo_s_hair_runs(hair_template, head, tilt):
    wanted, body, fit = silhouettes(hair_template, head, style(hair_template, "bob02"))
    identity = person(wanted, body)
    columns, rows = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    angle = np.radians(tilt)  # of the strands, from straight down towards the right
    across = columns * np.cos(angle) - rows * np.sin(angle)
    stripes = 90 + 50 * np.sin(across)
    hairy = (identity.photo.pixels == (90, 60, 30)).all(-1)
    identity.photo.pixels[hairy] = stripes[hairy][:, None].astype(np.uint8)
    hair = fit_hair(hair_template, identity, fit)
    view = HairView(identity, fit, hair_template)
    tips = view.proxy + hair_template.directions(head.mean) * np.maximum(hair.thickness, 0)[:, None]
    pixel = hair_template.image(view.locate(tips))[..., :2]
    u = hair_template.image(hair.comb)
    # gradient of u in the picture: strands are at right angles to it
    steps = np.stack([np.gradient(pixel, axis=0), np.gradient(pixel, axis=1)], -2)
    slopes = np.stack(np.gradient(u), -1)[..., None]
    x, y, z = np.moveaxis(hair_template.image(view.proxy), -1, 0)
    front = (z > 0.04) & (abs(x) < 0.035) & (y > 0.055) & (y < 0.1)
    gradient = np.linalg.solve(steps[front], slopes[front])[..., 0]
    runs = np.degrees(np.arctan2(-gradient[:, 1], gradient[:, 0]))
    assert np.sign(tilt) * np.median(runs) > 15


def test_texture_follows_the_comb(hair_template, head):
    rows, columns, _ = hair_template.grid
    comb = carried(np.full((rows, columns), 0.5)).astype(np.float32)
    hair = HairFit("x", np.full(rows * columns, 0.01, np.float32), np.ones(3), comb.ravel())
    place, at = grid_places(hair_template, hair, 256, 512)
    u, v = texture_uv(hair_template, hair).T.reshape(2, rows, columns)
    for row, column in ((20, 30), (30, 60), (40, 20)):
        texel = int(v[row, column] * 256), int(u[row, column] * 512)
        assert place[texel] == pytest.approx(column, abs=0.3)
        assert at[texel] == pytest.approx(row, abs=0.3)


def test_locks_run_along_strands_are_higher_in_curls_and_absent_in_crops(hair_template):
    rows, columns, _ = hair_template.grid
    thickness = np.full((rows, columns), 0.03)
    straight = carried(np.zeros((rows, columns)))
    relief = {curl: lock_relief(hair_template, straight, thickness, curl, 0.04) for curl in (0, 1)}
    low = slice(28, 60)
    assert 0.001 < relief[0][low].std() < relief[1][low].std() < 0.006
    along, across = (np.diff(relief[0][low], axis=axis).std() for axis in (0, 1))
    assert along < 0.4 * across
    assert not lock_relief(hair_template, straight, thickness, 1.0, 0.006).any()


def test_the_hairline_is_the_parser_s_finer_than_the_grid(hair_template, head):
    wanted, body, fit = silhouettes(hair_template, head, style(hair_template, "short01"))
    view = HairView(person(wanted, body), fit, hair_template)
    column, row = view.locate(np.array([[0.02, 0.072, 0.085]]))[0, :2].round().astype(int)
    top = np.flatnonzero(wanted[:row, column]).max()
    notch = np.zeros_like(wanted)
    notch[top - 5 : top + 4, column - 2 : column + 3] = True
    alphas = []
    for shown in (wanted, wanted & ~notch):
        identity = person(shown, body | wanted)
        hair = fit_hair(hair_template, person(wanted, body), fit)
        sheet = HairSheet(hair_template, hair, fit, 512)
        view = HairView(identity, fit, hair_template)
        alpha = outline_alpha(sheet, photo_outline(view, sheet, sheet.shown(view)))
        located = view.locate(sheet.position)[..., :2].round().astype(int).clip(0, 255)
        inside = cv2.erode(notch.astype(np.uint8), np.ones((3, 3)))[
            located[..., 1], located[..., 0]
        ]
        alphas.append(alpha[(inside > 0) & (sheet.normal[..., 2] > 0.2)].mean())
    assert alphas[0] > 0.6 and alphas[1] < 0.2


def test_black_hair_that_shines_is_black(hair_template, head):
    wanted, body, fit = silhouettes(hair_template, head, style(hair_template, "bob02"))
    identity = person(wanted, body, (24, 22, 20))
    hairy = (identity.photo.pixels == (24, 22, 20)).all(-1)
    shine = hairy & (np.arange(SIZE)[:, None] % 10 < 6)  # more shine than shade
    identity.photo.pixels[shine] = (120, 118, 118)
    assert fit_hair(hair_template, identity, fit).colour @ LUMA < 0.02
    grey = person(wanted, body, (120, 118, 118))
    assert fit_hair(hair_template, grey, fit).colour @ LUMA > 0.12


def test_brown_hair_with_the_sky_in_it_is_not_purple(hair_template, head):
    hair, _, _ = fitted(hair_template, head, "bob02", colour=(90, 74, 73))
    red, green, blue = hair.colour
    assert blue < 0.85 * green and red > green


def test_hair_that_is_not_seen_is_as_dark_as_hair_that_is(hair_template, head):
    hair, identity, fit = fitted(hair_template, head, "bob02", colour=(110, 80, 55))
    view = HairView(identity, fit, hair_template)
    brighter = HairFit(hair.style, hair.thickness, 1.4 * hair.colour, hair.comb)
    material = hair_material(hair_template, brighter, identity, fit, size=256)
    sheet = HairSheet(hair_template, hair, fit, 256)
    _, toward, seen = sheet.shown(view)
    hairy = (material.alpha > 0.9) & (sheet.outline > 0.02)
    front = np.log(material.albedo[hairy & seen & (toward > 0.5)] @ LUMA).mean()
    back = np.log(material.albedo[hairy & (toward < -0.3)] @ LUMA).mean()
    assert back == pytest.approx(front, abs=0.15)
