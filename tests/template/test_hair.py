import numpy as np
import pytest
from scipy.spatial import cKDTree

from id2head_core import weights
from id2head_core.appearance.hair_texture import hair_material
from id2head_core.errors import WeightsError
from id2head_core.structures import (
    HairFit,
)
from id2head_core.template.hair import (
    BALD,
    FRINGE_LIFT,
    TUCK,
    HairTemplate,
    hair_part,
    scalp_coverage,
    shell_height,
)
from id2head_core.template.hair_fit import fit_hair
from id2head_core.template.hair_view import MAP_SIZE, HairView
from id2head_core.template.head_template import HeadTemplate
from tests.template.hair_oracle import (
    EAR,
    HAIR,
    HAT,
    SIZE,
    SKIN,
    identity_of,
    overlap,
    person,
    silhouettes,
    style,
)


@pytest.fixture(scope="module")
def head():
    return HeadTemplate.load()


@pytest.fixture(scope="module")
def hair_template():
    return HairTemplate.load()


def crown_of(head):
    """Template vertex on top of the skull."""
    skin = np.unique(head.skin_vertex[head.skin_faces])
    return skin[np.argmax(head.mean[skin, 1])]


def test_proxy_follows_the_skull_and_leaves_out_the_ears(hair_template, head):
    generator = np.random.default_rng(0)
    coefficients = generator.standard_normal(len(head.identity_basis)) * 0.8
    for neutral in (head.mean, head.mean + np.tensordot(coefficients, head.identity_basis, 1)):
        proxy = hair_template.image(hair_template.proxy_vertices(neutral))
        rows, columns, cap = hair_template.grid
        scalp = proxy[2 : cap - 4]
        corners = neutral[hair_template.skin_faces]
        dense = np.concatenate([corners.mean(1), neutral[: head.skin_vertex.max() + 1]])
        distance, _ = cKDTree(dense).query(scalp.reshape(-1, 3))
        assert np.quantile(distance, 0.95) < 0.009  # edges of the skin are 6 mm long
        ears = neutral[head.regions["ears"] > 0.9]
        level = np.abs(proxy[..., 1] - ears[:, 1].mean()) < 0.02
        assert np.abs(proxy[level][:, 0]).max() < np.abs(ears[:, 0]).max() - 0.008


def test_proxy_grid_is_a_sphere_like_surface_facing_outwards(hair_template, head):
    vertices, weld = hair_template.proxy_vertices(head.mean), hair_template.weld
    a, b, c = (vertices[hair_template.faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    outward = (normal * hair_template.directions(head.mean)[hair_template.faces[:, 0]]).sum(1)
    rows, columns, cap = hair_template.grid
    upper = hair_template.faces.max(1) < cap * columns
    assert (outward[upper] > 0).all()
    welded = weld[hair_template.faces]
    edges = np.concatenate([welded[:, [i, (i + 1) % 3]] for i in range(3)])
    edges = edges[edges[:, 0] != edges[:, 1]]
    _, count = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
    assert count.max() == 2
    assert (count == 1).sum() == columns - 1  # only the lower end is open


def test_blur_keeps_constants_wraps_and_is_round_at_the_crown(hair_template):
    rows, columns, cap = hair_template.grid
    assert hair_template.blur(np.full((rows, columns), 3.0), 2.0) == pytest.approx(3.0)
    spot = np.zeros((rows, columns))
    spot[30, 0] = spot[30, -1] = 1
    blurred = hair_template.blur(spot, 1.5)
    assert blurred[30, 1] == pytest.approx(blurred[30, -2], rel=1e-5)
    assert blurred[30, 1] > 0.01
    spot = np.zeros((rows, columns))
    spot[3, : columns // 4] = 1
    blurred = hair_template.blur(spot, 1.5)
    assert blurred[0].std() < 0.15 * blurred[0].mean()
    assert blurred[1, columns // 2 + columns // 8] > 0  # reaches the other side of the crown


def test_outline_distance_is_signed_and_metric(hair_template):
    rows, columns, _ = hair_template.grid
    thickness = np.full((rows, columns), -0.01)
    thickness[:30] = 0.01
    distance = hair_template.outline_distance(thickness.ravel())
    assert distance[25, 10] == pytest.approx(0.027, abs=0.002)
    assert distance[33, 10] == pytest.approx(-0.021, abs=0.002)
    assert (distance[30:] < 0).all() and (distance[:30] > 0).all()


def test_shell_stands_on_the_proxy_and_dips_below_the_skin_at_its_rim(hair_template, head):
    rows, columns, _ = hair_template.grid
    thickness = np.full((rows, columns), -0.01, np.float32)
    thickness[:30] = 0.02
    height = hair_template.image(shell_height(hair_template, thickness.ravel()))
    assert height[5:30] == pytest.approx(0.021, abs=1e-6)
    inner = ~hair_template.image(hair_template.free)[30]
    assert height[30][inner] == pytest.approx(FRINGE_LIFT)
    assert (height[31:] == np.float32(-TUCK)).all()
    part = hair_part(hair_template, HairFit("x", thickness.ravel(), np.ones(3)), head.mean)
    assert part.name == "hair" and part.faces.max() == len(part.vertices) - 1
    proxy = hair_template.proxy_vertices(head.mean)
    assert np.linalg.norm(part.vertices[0] - proxy[0]) == pytest.approx(0.021, abs=1e-4)
    assert part.displacements.shape == (13, len(part.vertices), 3)
    assert not part.displacements.any()
    assert len(np.unique(part.weld)) < len(part.weld)


def test_no_hair_no_part(hair_template, head):
    bald = HairFit(BALD, np.full(len(hair_template.uv), -0.01, np.float32), np.ones(3))
    assert hair_part(hair_template, bald, head.mean) is None
    assert not scalp_coverage(hair_template, bald, head.mean).any()


def test_hair_near_the_skin_follows_expressions(hair_template, head):
    rows, columns, _ = hair_template.grid
    moved = np.zeros((13, *head.mean.shape), np.float32)
    moved[1, :, 1] = 0.01
    shift = {}
    for millimetres in (2, 40):
        thickness = np.full((rows, columns), -0.01, np.float32)
        thickness[:30] = millimetres / 1000
        hair = HairFit("x", thickness.ravel(), np.ones(3))
        part = hair_part(hair_template, hair, head.mean, moved)
        shift[millimetres] = part.displacements[1, 0, 1]
        assert not part.displacements[0].any()
    assert shift[2] > 0.005 and 0 <= shift[40] < 0.001


def test_every_style_leaves_the_face_free_and_covers_the_scalp(hair_template, head):
    nose = head.mean[np.argmax(head.mean[:, 2])]
    crown = crown_of(head)
    for name in hair_template.styles:
        thickness = style(hair_template, name)
        hair = HairFit(name, thickness, np.ones(3))
        coverage = scalp_coverage(hair_template, hair, head.mean)
        assert 0 <= coverage.min() and coverage.max() <= 1
        assert coverage[crown] > 0.95, name
        assert coverage[np.linalg.norm(head.mean - nose, axis=1) < 0.04].max() < 0.05, name
        part = hair_part(hair_template, hair, head.mean)
        assert np.isfinite(part.vertices).all()
        assert (np.linalg.norm(part.vertices - nose, axis=1) > 0.02).all(), name


@pytest.mark.parametrize(("name", "yaw"), [("short01", 0), ("long01", 0), ("bob02", 20)])
def test_fit_reproduces_the_silhouette_of_a_known_style(hair_template, head, name, yaw):
    wanted, body, fit = silhouettes(hair_template, head, style(hair_template, name), yaw)
    gender = 0.0 if name.startswith("short") else 1.0
    hair = fit_hair(hair_template, person(wanted, body, gender=gender), fit)
    got, _, _ = silhouettes(hair_template, head, hair.thickness, yaw)
    assert overlap(got, wanted) > 0.8
    if name == "long01":
        assert hair.style in ("long01", "bob02")


def test_fit_grows_to_a_larger_outline_and_shrinks_to_a_smaller(hair_template, head):
    overlaps = {}
    volumes = {}
    for factor in (0.4, 2.2):
        base = style(hair_template, "afro01")
        thickness = np.where(base > 0, base * factor, base)
        wanted, body, fit = silhouettes(hair_template, head, thickness)
        hair = fit_hair(hair_template, person(wanted, body), fit)
        got, _, _ = silhouettes(hair_template, head, hair.thickness)
        overlaps[factor] = overlap(got, wanted)
        volumes[factor] = hair.thickness[hair.thickness > 0].mean()
    assert min(overlaps.values()) > 0.75
    assert volumes[2.2] > 2 * volumes[0.4]


def test_fringe_comes_down_and_free_forehead_recedes(hair_template, head):
    forehead = np.argmin(np.linalg.norm(head.mean - [0, 0.06, 0.1], axis=1))
    coverage = {}
    for name in ("bob02", "ponytail01"):
        wanted, body, fit = silhouettes(hair_template, head, style(hair_template, name))
        hair = fit_hair(hair_template, person(wanted, body), fit)
        coverage[name] = scalp_coverage(hair_template, hair, head.mean)[forehead]
    assert coverage["bob02"] > 0.8
    assert coverage["ponytail01"] < 0.1


def with_shown_ears(template, head, wanted, body, fit):
    """A photo of ``wanted`` hair whose ears are seen."""
    view = HairView(person(wanted, body), fit, template)
    height = template.ear_height[:, None]
    tips = view.proxy + template.directions(head.mean) * height
    columns, rows = view.locate(tips[height[:, 0] > 0.006])[:, :2].round().astype(int).T
    labels = np.where(wanted, HAIR, np.where(body, SKIN, 0)).repeat(2, 0).repeat(2, 1)
    for row, column in zip(2 * rows, 2 * columns, strict=True):
        labels[row - 6 : row + 7, column - 6 : column + 7] = EAR
    return identity_of(labels), view


@pytest.mark.parametrize("shown", [True, False])
def test_hair_grows_below_an_ear_only_where_the_photo_hides_it(hair_template, head, shown):
    wanted, body, fit = silhouettes(hair_template, head, style(hair_template, "bob02"))
    photo = person(wanted, body)
    if shown:
        photo, _ = with_shown_ears(hair_template, head, wanted, body, fit)
    ear = hair_template.ear_height > 0.006
    hair = fit_hair(hair_template, photo, fit)
    assert (hair.thickness[ear] > 0).any() != shown
    assert (hair.thickness > 0).mean() > 0.2


@pytest.mark.parametrize("side", [-1, 1])
def test_a_ponytail_hangs_on_its_side_and_behind_the_ear(hair_template, head, side):
    wanted, body, fit = silhouettes(hair_template, head, style(hair_template, "short01"))
    view = HairView(person(wanted, body), fit, hair_template)
    left, top = view.locate(np.array([[side * 0.05, 0.05, 0.0]]))[0, :2].round().astype(int)
    right, bottom = view.locate(np.array([[side * 0.105, -0.14, 0.0]]))[0, :2].round().astype(int)
    tail = np.zeros_like(wanted)
    tail[top:bottom, min(left, right) : max(left, right)] = True
    wanted |= tail & ~body
    photo, view = with_shown_ears(hair_template, head, wanted, body, fit)
    thickness = fit_hair(hair_template, photo, fit).thickness
    x, y, z = view.proxy.T
    low = (y < -0.06) & (y > -0.1) & (z < -0.01) & (z > -0.06) & (abs(x) > 0.03)
    own, other = low & (np.sign(x) == side), low & (np.sign(x) == -side)
    assert (thickness[own] > 0.01).mean() > max(0.4, 2 * (thickness[other] > 0.01).mean())
    before = (y < -0.03) & (y > -0.1) & (z > 0.01) & (abs(x) > 0.03)
    assert (thickness[before] > 0).mean() < 0.05


def test_the_unseen_hairline_at_the_nape_is_level(hair_template, head):
    """A neck without hair beside it, below hair that the style continues behind it."""
    wanted, body, fit = silhouettes(hair_template, head, style(hair_template, "bob01"))
    view = HairView(person(wanted, body), fit, hair_template)
    limit = int(view.locate(np.array([[0, -0.05, 0.0]]))[0, 1])
    wanted[limit:] = False
    hair = fit_hair(hair_template, person(wanted, body), fit)
    has = hair_template.image(hair.thickness)[:, :-1] > 0
    sixth = has.shape[1] // 6  # columns start and end at the back
    lowest = [np.flatnonzero(has[:, column]).max() for column in range(-sixth, sixth)]
    assert np.ptp(lowest) <= 4


def test_a_tuft_on_a_thread_is_not_hair(hair_template, head):
    wanted, body, fit = silhouettes(hair_template, head, style(hair_template, "short01"))
    view = HairView(person(wanted, body), fit, hair_template)
    tuft = np.array([[0.05, 0.0, 0.065]])
    column, row = view.locate(tuft)[0, :2].round().astype(int)
    above = np.flatnonzero(wanted[:row, column]).max()
    wanted[above:row, column - 3 : column + 3] = True
    wanted[row - 4 : row + 5, column - 4 : column + 5] = True
    hair = fit_hair(hair_template, person(wanted, body), fit)
    rays = np.linalg.norm(view.proxy - tuft, axis=1) < 0.02
    assert rays.any() and not (hair.thickness[rays] > 0).any()


def test_bald_head_and_hat_are_not_hair(hair_template, head):
    wanted, body, fit = silhouettes(hair_template, head, style(hair_template, "short04"))
    bald = fit_hair(hair_template, person(np.zeros_like(wanted), body), fit)
    assert bald.style == BALD and (bald.thickness <= 0).all()
    labels = np.where(wanted, HAT, np.where(body, SKIN, 0)).repeat(2, 0).repeat(2, 1)
    assert fit_hair(hair_template, identity_of(labels), fit).style == BALD


def test_bald_top_with_hair_at_the_sides_stays_bald_on_top(hair_template, head):
    wanted, body, fit = silhouettes(hair_template, head, style(hair_template, "short01"))
    view = HairView(person(wanted, body), fit, hair_template)
    limit = view.locate(np.array([[0, 0.05, 0.0]]))[0, 1]
    wanted[: int(limit)] = False
    hair = fit_hair(hair_template, person(wanted, body | wanted), fit)
    assert hair.style != BALD
    coverage = scalp_coverage(hair_template, hair, head.mean)
    assert coverage[crown_of(head)] < 0.1
    behind = np.argmin(np.linalg.norm(head.mean - [0, 0.085, -0.07], axis=1))
    assert coverage[behind] < 0.1  # never seen
    side = np.argmin(np.linalg.norm(head.mean - [0.075, 0.03, -0.02], axis=1))
    assert coverage[side] > 0.4


def test_high_hair_at_the_sides_does_not_meet_over_a_bald_crown(hair_template, head):
    wanted, body, fit = silhouettes(hair_template, head, style(hair_template, "short01"))
    view = HairView(person(wanted, body), fit, hair_template)
    hidden = np.array([[-0.05, 0.0, 0.0], [0.05, 0.0, 0.0]])
    left, right = sorted(int(c) for c in view.locate(hidden)[:, 0])
    wanted[:, left:right] = False
    hair = fit_hair(hair_template, person(wanted, body | wanted), fit)
    coverage = scalp_coverage(hair_template, hair, head.mean)
    assert coverage[crown_of(head)] < 0.1
    for unseen in ([0, 0.085, -0.07], [0.02, 0.09, -0.04], [-0.02, 0.09, -0.04]):
        behind = np.argmin(np.linalg.norm(head.mean - unseen, axis=1))
        assert coverage[behind] < 0.1
    side = np.argmin(np.linalg.norm(head.mean - [0.075, 0.03, -0.02], axis=1))
    assert coverage[side] > 0.4
    above = hair_template.image(view.proxy)[..., 1] > 0.03
    wreath = hair_template.image(hair.thickness) * (hair_template.image(view.proxy)[..., 2] < -0.05)
    assert 0 < wreath[above].max() < 0.012  # flat


def test_colour_and_texture_are_the_photo_s(hair_template, head):
    colour = np.array([150, 90, 40])
    wanted, body, fit = silhouettes(hair_template, head, style(hair_template, "bob02"))
    identity = person(wanted, body, tuple(colour))
    hair = fit_hair(hair_template, identity, fit)
    linear = (colour / 255) ** 2.2
    assert hair.colour == pytest.approx(linear, rel=0.05)
    material = hair_material(hair_template, hair, identity, fit, size=256)
    assert material.albedo.shape == (256, 256, 3) and material.alpha.shape == (256, 256)
    assert material.albedo.dtype == material.alpha.dtype == np.float32
    assert 0 <= material.albedo.min() and material.albedo.max() <= 1
    hairy = material.alpha > 0.5
    assert np.median(material.albedo[hairy], axis=0) == pytest.approx(linear, rel=0.3)
    assert material.alpha[20].min() > 0.9  # the crown
    assert material.alpha[200, 128] < 0.1  # the throat
    share = material.albedo[hairy] / material.albedo[hairy].sum(-1, keepdims=True)
    assert share.mean(0) == pytest.approx(linear / linear.sum(), abs=0.03)  # no skin, no wall


@pytest.mark.parametrize(
    ("photo", "hue"),
    [
        ((46, 26, 18), (46, 26, 18)),  # dark brown stays brown
        ((30, 17, 12), (46, 26, 20)),  # ... and is no darker than black hair
        ((56, 60, 70), (60, 60, 64)),  # a blue room in black hair is no dye
        ((40, 40, 140), (40, 40, 140)),  # a dye is
    ],
)
def test_tint_of_dark_hair(hair_template, head, photo, hue):
    wanted, body, fit = silhouettes(hair_template, head, style(hair_template, "bob02"))
    hair = fit_hair(hair_template, person(wanted, body, photo), fit)
    shown = 255 * hair.colour ** (1 / 2.2)
    assert shown == pytest.approx(hue, abs=4)


def test_texture_has_the_photo_s_sides(hair_template, head):
    wanted, body, fit = silhouettes(hair_template, head, style(hair_template, "bob02"))
    identity = person(wanted, body, (120, 60, 60))
    right = identity.photo.pixels[:, SIZE // 2 :]  # the subject's left
    right[(right == (120, 60, 60)).all(-1)] = (60, 60, 120)
    hair = fit_hair(hair_template, identity, fit)
    albedo = hair_material(hair_template, hair, identity, fit, size=256).albedo
    fringe = slice(70, 100)
    red, blue = albedo[fringe, 122:127], albedo[fringe, 130:135]
    assert (red[..., 0] > 1.2 * red[..., 2]).mean() > 0.8
    assert (blue[..., 2] > 1.2 * blue[..., 0]).mean() > 0.8


def test_shadows_between_locks_are_no_stains(hair_template, head):
    wanted, body, fit = silhouettes(hair_template, head, style(hair_template, "bob02"))
    colour = (150, 90, 40)
    identity = person(wanted, body, colour)
    crown = HairView(identity, fit, hair_template).locate(np.array([[0, 0.09, 0.08]]))[0, :2]
    column, row = (2 * crown).round().astype(int)
    identity.photo.pixels[row - 4 : row + 5, column - 4 : column + 5] = 8
    hair = fit_hair(hair_template, identity, fit)
    albedo = hair_material(hair_template, hair, identity, fit, size=256).albedo
    linear = (np.array(colour) / 255) ** 2.2
    front = albedo[90:120, 118:140]
    assert (front / linear).mean(-1).min() > 0.2  # 0.01 in the photo
    assert (front / linear).mean(-1).min() < 0.5  # but the shadow is there


def test_fit_is_deterministic(hair_template, head):
    wanted, body, fit = silhouettes(hair_template, head, style(hair_template, "short03"))
    first, second = (fit_hair(hair_template, person(wanted, body), fit) for _ in range(2))
    assert first.style == second.style
    assert np.array_equal(first.thickness, second.thickness)


def test_map_covers_the_photo(hair_template, head):
    wanted, body, fit = silhouettes(hair_template, head, style(hair_template, "short03"))
    view = HairView(person(wanted, body), fit, hair_template)
    point = np.array([[0.03, 0.02, 0.05]])
    pixel = fit.camera.pixels(point, SIZE, SIZE)[0]
    assert view.locate(point)[0, :2] == pytest.approx(pixel[:2] * MAP_SIZE / SIZE, abs=1e-3)
    assert (view.inside == 1).all()


def test_missing_weights_are_named(monkeypatch, tmp_path):
    (tmp_path / "manifest.json").write_text('{"files": []}')
    monkeypatch.setenv("ID2HEAD_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match="hair/hair_template.npz"):
        HairTemplate.load()
    assert weights.weights_root() == tmp_path


def test_another_head_template_is_refused(hair_template, head):
    with pytest.raises(WeightsError, match="bound to a head of"):
        hair_template.proxy_vertices(head.mean[:-1])


def test_ten_styles_of_the_cc0_core(hair_template):
    names = "afro01 bob01 bob02 braid01 long01 ponytail01 short01 short02 short03 short04"
    assert hair_template.styles == tuple(names.split())
    assert hair_template.thickness.shape == (10, len(hair_template.uv))
