"""The baked template keeps its promises: topology, symmetry, atlas, lids, lips, expressions."""

import numpy as np
import pytest

from id2head_core.errors import OptionError, WeightsError
from id2head_core.expressions import EXPRESSIONS, FOLD_WEIGHTS
from id2head_core.template.eyes import CLEARANCE, FRONT, LOWER, RIM, UPPER
from id2head_core.template.head_template import MESH_PARTS, HeadTemplate
from id2head_core.template.mouth import CONTACT

SHUT = [EXPRESSIONS.index(name) for name in ("Eyes Closed", "Squeeze")]


@pytest.fixture(scope="module")
def template():
    return HeadTemplate.load()


@pytest.fixture(scope="module")
def average(template):
    neutral = template.neutral(np.zeros(len(template.identity_basis)))
    return neutral, template.expression_displacements(neutral)


def random_identity(template, seed, strength=1.0):
    size = len(template.identity_basis)
    return strength * np.random.default_rng(seed).normal(size=size)


def bump(template, centre, shift, width=0.015):
    """A smooth residual: ``shift`` metres around ``centre``."""
    near = np.exp(-((template.mean - centre) ** 2).sum(1) / (2 * width**2))
    return near[:, None] * np.asarray(shift)


@pytest.fixture(
    scope="module", params=["random 1", "random 2", "caricature", "warped eye", "opened lips"]
)
def unusual(template, request):
    """Neutral heads that the linear model alone would not close."""
    identity = random_identity(template, 1)
    residual = None
    if request.param == "random 2":
        identity = random_identity(template, 2)
    if request.param == "caricature":
        identity = random_identity(template, 3, 1.6)
    if request.param == "warped eye":
        residual = bump(template, (0.03, 0.01, 0.09), (0.002, 0.004, -0.004))
    if request.param == "opened lips":
        residual = bump(template, (0, -0.075, 0.09), (0, -0.006, 0.001), 0.01)
    neutral = template.neutral(identity, residual)
    return neutral, template.expression_displacements(neutral)


# Mesh


def test_the_skin_is_closed_and_points_outwards(template):
    faces = template.skin_vertex[template.skin_faces]
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    forward = {tuple(edge) for edge in edges.tolist()}
    assert len(forward) == len(edges), "an edge is used twice in the same direction"
    assert all((b, a) in forward for a, b in forward), "the surface has a boundary"
    corners = template.mean[faces]
    volume = np.einsum("fc,fc->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert 0.003 < volume < 0.008  # cubic metres of a head with its neck


def test_sizes_and_frame(template):
    points = template.mean[template.skin_vertex]
    assert 0.055 < template.eye_frame.distance(template.mean) < 0.068
    nose = points[points[:, 2].argmax()]
    assert abs(nose[0]) < 0.002 and -0.06 < nose[1] < 0.01  # the face looks along +Z
    assert 0.09 < points[:, 1].max() < 0.14 and -0.28 < points[:, 1].min() < -0.18
    right, left = template.mean[template.eye_frame.ball].mean(1)
    assert right[0] < 0 < left[0]  # +X is the subject's left


def test_mirror(template):
    mirror = template.mirror
    assert (mirror[mirror] == np.arange(len(mirror))).all()
    np.testing.assert_allclose(template.mean[mirror] * [-1, 1, 1], template.mean, atol=2e-5)
    left = template.action_basis[template.action_names.index("mouthSmileLeft")]
    right = template.action_basis[template.action_names.index("mouthSmileRight")]
    np.testing.assert_allclose(left[mirror] * [-1, 1, 1], right, atol=1.5e-3)


def test_the_rim_of_the_bust_is_smooth(template):
    low = template.mean[:, 1] < -0.15
    faces = template.skin_vertex[template.skin_faces]
    corners = template.mean[faces[low[faces].all(1)]]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1)
    assert sides.max() < 0.05  # no spikes


# Atlas


def test_the_atlas_has_no_flips_and_no_overlaps(template):
    size = 1024
    corners = template.skin_uv[template.skin_faces].astype(np.float64) * size
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = (one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]) / 2
    assert (area < -1e-3).all()  # counter-clockwise with v up
    assert template.skin_uv.min() >= 0 and template.skin_uv.max() <= 1
    claimed = np.zeros((size, size), int)
    for triangle, double in zip(corners, 2 * area, strict=True):
        low = np.floor(triangle.min(0)).astype(int)
        high = np.ceil(triangle.max(0)).astype(int)
        columns, rows = np.arange(low[0], high[0]), np.arange(low[1], high[1])
        x, y = np.meshgrid(columns + 0.5, rows + 0.5)
        inside = np.ones(x.shape, bool)
        for i in range(3):
            a, b = triangle[i], triangle[(i + 1) % 3]
            side = (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])
            inside &= side / double > 1e-9
        claimed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += inside
    assert claimed.max() == 1
    assert (claimed > 0).mean() > 0.55


def test_the_face_gets_most_texels(template):
    frame = template.eye_frame
    eyes = [
        template.skin_uv[np.isin(template.skin_vertex, frame.rings[eye, 7])].mean(0)
        for eye in (0, 1)
    ]
    assert 1024 * (eyes[1] - eyes[0])[0] > 190
    assert eyes[0].mean() > 0 and abs(eyes[0][0] + eyes[1][0] - 1) < 0.005  # symmetric about u = .5


# Lids and eyeballs


def test_shut_lids_meet_exactly(template, unusual):
    neutral, displacements = unusual
    for row in SHUT:
        rim = (neutral + displacements[row])[template.eye_frame.rings[:, RIM]]  # [2, 3, 28, 3]
        gap = np.linalg.norm(rim[:, :, UPPER] - rim[:, :, LOWER], axis=-1)
        assert gap.max() < 1e-6


def test_no_lid_enters_an_eyeball(template, unusual):
    neutral, displacements = unusual
    centres, radius = template.eye_frame.balls(neutral)
    for offset in (np.zeros_like(neutral), *displacements):
        posed = (neutral + offset)[template.eye_frame.rings[:, FRONT:]]
        height = np.linalg.norm(posed - centres[:, None, None], axis=-1)
        assert height.min() > radius + 0.5 * CLEARANCE


def test_half_closed_lids_do_not_show_the_eyeball(template, average):
    neutral, displacements = average
    centres, radius = template.eye_frame.balls(neutral)
    for share in (0.25, 0.5, 0.75):
        posed = neutral + share * displacements[EXPRESSIONS.index("Eyes Closed")]
        front = posed[template.eye_frame.rings[:, FRONT]]
        assert np.linalg.norm(front - centres[:, None], axis=-1).min() > radius


def test_eyeballs_are_equal_spheres(template, unusual):
    neutral, _ = unusual
    points = neutral[template.eye_frame.ball]
    spread = np.linalg.norm(points - points.mean(1, keepdims=True), axis=-1)
    np.testing.assert_allclose(spread, spread.mean(), atol=1e-5)


def test_the_eyes_stay_where_they_are(template, average):
    _, displacements = average
    assert np.abs(displacements[:, template.eye_frame.ball]).max() < 1e-7


# Lips


def test_closed_lips_touch(template, unusual):
    neutral, displacements = unusual
    frame = template.mouth_frame
    assert np.abs(frame.gap(neutral)).max() < 3e-4
    for name in ("Angry", "Mouth Stretch", "Neutral Open"):
        posed = neutral + displacements[EXPRESSIONS.index(name)]
        assert frame.gap(posed).max() > 1.5e-3  # these open the mouth


def test_lips_never_cross(template, unusual):
    neutral, displacements = unusual
    for offset in displacements:
        assert template.mouth_frame.gap(neutral + offset).min() > -4e-4


def test_teeth_stay_behind_closed_lips(template, average):
    neutral, displacements = average
    teeth = template.parts(neutral, displacements)[2]
    line = neutral[template.mouth_frame.rings[CONTACT]]
    front = teeth.vertices[np.abs(teeth.vertices[:, 0]) < 0.006]
    assert front[:, 2].max() < line[np.abs(line[:, 0]) < 0.006][:, 2].min() - 1e-3


# Expressions


def test_expressions_move_and_differ(template, average):
    _, displacements = average
    skin = np.unique(template.skin_vertex)
    flat = displacements[:, skin].reshape(len(EXPRESSIONS), -1)
    assert displacements.shape == (13, len(template.mean), 3)
    assert (np.linalg.norm(displacements[:, skin], axis=-1).max(1) > 0.006).all()
    unit = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    likeness = unit @ unit.T - np.eye(len(EXPRESSIONS))
    wide, open_mouth = EXPRESSIONS.index("Mouth Stretch"), EXPRESSIONS.index("Neutral Open")
    likeness[wide, open_mouth] = likeness[open_mouth, wide] = 0  # these differ in strength
    assert likeness.max() < 0.9
    rows = [EXPRESSIONS.index(n) for n in ("Angry", "Brow Lowerer", "Nose Down")]
    assert likeness[np.ix_(rows, rows)].max() < 0.75  # the pairs that used to look alike


def test_expressions_grow_with_the_head(template, average):
    neutral, displacements = average
    larger = template.expression_displacements(neutral * 1.2)
    row = EXPRESSIONS.index("Mouth Stretch")
    chin = np.linalg.norm(displacements[row], axis=-1).argmax()
    np.testing.assert_allclose(larger[row, chin], 1.2 * displacements[row, chin], rtol=0.02)


def test_folds_are_symmetric_and_leave_lids_and_lips_alone(template, average):
    basis, names = template.fold_basis, list(FOLD_WEIGHTS)
    deep = np.linalg.norm(basis, axis=2)
    assert ((deep.max(1) > 0.001) & (deep.max(1) < 0.004)).all()
    mirrored = basis[:, template.mirror] * [-1, 1, 1]
    np.testing.assert_allclose(mirrored, basis, atol=2e-4)
    assert deep[:, template.eye_frame.rings[:, : RIM.stop]].max() < 2e-6
    assert deep[:, template.mouth_frame.rings[: CONTACT + 1]].max() < 2e-6
    weights = template.fold_weights
    assert weights.min() >= 0 and weights.max() <= 1
    for expression, fold in (("Grin", "nasolabial"), ("Brow Raised", "forehead"),
                             ("Brow Lowerer", "glabella"), ("Squeeze", "crows_feet"),
                             ("Lips Down", "marionette")):  # fmt: skip
        assert weights[EXPRESSIONS.index(expression), names.index(fold)] > 0.9
    assert not weights[EXPRESSIONS.index("Eyes Closed")].any()
    neutral, plain = average
    assert np.array_equal(template.expression_displacements(neutral, np.zeros(7)), plain)
    folded = template.expression_displacements(neutral, np.full(7, 0.5)) - plain
    sunk = (folded * basis[names.index("nasolabial")]).sum()
    assert sunk > 0 and np.abs(folded[EXPRESSIONS.index("Grin")]).max() > 5e-4


def test_pose_adds_actions(template):
    actions = np.zeros(len(template.action_names))
    index = template.action_names.index("jawOpen")
    actions[index] = 0.5
    identity = random_identity(template, 4)
    difference = template.pose(identity, actions) - template.neutral(identity)
    np.testing.assert_allclose(difference, 0.5 * template.action_basis[index], atol=1e-6)
    chin = template.landmark_vertices[4, 0]
    assert (difference[chin, 1] < -0.005).all()


# Parts


def test_parts(template, average):
    neutral, displacements = average
    parts = template.parts(neutral, displacements)
    assert tuple(part.name for part in parts) == ("skin", *MESH_PARTS)
    for part in (*parts, template.brows(neutral, displacements)):
        count = len(part.vertices)
        assert part.displacements.shape == (13, count, 3)
        assert part.faces.min() >= 0 and part.faces.max() < count
        assert part.uv.shape == (count, 2) and part.weld.shape == (count,)
        assert part.uv.min() >= 0 and part.uv.max() <= 1
        assert np.isfinite(part.vertices).all() and np.isfinite(part.displacements).all()
    row = EXPRESSIONS.index("Mouth Stretch")
    teeth = parts[2]
    lower = teeth.vertices[:, 1] < np.median(teeth.vertices[:, 1])
    drop = -teeth.displacements[row, :, 1]
    assert drop[lower].max() > 0.015 and np.abs(drop[~lower]).min() < 1e-6


def test_lashes_follow_the_lids(template, average):
    neutral, displacements = average
    lashes = next(p for p in template.parts(neutral, displacements) if p.name == "lashes")
    moved = lashes.displacements[EXPRESSIONS.index("Eyes Closed")]
    assert moved[:, 1].min() < -0.006
    centres, radius = template.eye_frame.balls(neutral)
    points = lashes.vertices + moved
    height = np.linalg.norm(points[:, None] - centres, axis=-1).min(1)
    assert height.min() > radius


def test_fit_scale_follows_the_skull(template, average):
    neutral, _ = average
    brows = next(part for part in template.bound if part.name == "brows")
    wider = neutral * np.array([1.1, 1, 1], np.float32)
    np.testing.assert_allclose(
        brows.fit_scale(wider) / brows.fit_scale(neutral), [1.1, 1, 1], rtol=1e-5
    )


# Landmarks and regions


def test_landmarks(template):
    assert template.landmark_yaw.tolist() == list(range(-60, 61, 15))
    weights = template.landmark_weights
    np.testing.assert_allclose(weights.sum(-1), 1, atol=2e-4)
    assert weights.min() > -1e-4
    points = (template.mean[template.landmark_vertices[4]] * weights[4][..., None]).sum(1)
    right, left = template.mean[template.eye_frame.ball].mean(1)
    assert np.hypot(*(points[33:43].mean(0) - right)[:2]) < 0.006
    assert np.hypot(*(points[87:97].mean(0) - left)[:2]) < 0.006
    assert np.median(template.landmark_sigma[4]) < 0.08
    skin = set(template.skin_vertex.tolist())
    assert set(template.landmark_vertices.ravel().tolist()) <= skin


def test_regions(template):
    regions = template.regions
    expected = {"face", "ears", "lips", "scalp", "neck", "mouth_interior", "eyelids"}
    assert expected <= set(regions)
    for mask in regions.values():
        assert mask.shape == (len(template.mean),) and 0 <= mask.min() and mask.max() <= 1
    centre = {name: template.mean[mask > 0.5].mean(0) for name, mask in regions.items()}
    assert centre["scalp"][1] > centre["face"][1] > centre["lips"][1] > centre["neck"][1]
    assert centre["mouth_interior"][2] < centre["lips"][2]
    assert np.abs(template.mean[regions["ears"] > 0.5, 0]).min() > 0.05


# Looks


@pytest.mark.parametrize("darkness", [0.25, 0.5, 0.75])
def test_stock_skin_has_the_asked_darkness(template, darkness):
    skin = template.stock_skin(30, 0.2, darkness)
    assert skin.shape == (1024, 1024, 3) and skin.dtype == np.float32
    assert 0 <= skin.min() and skin.max() <= 1
    scalp = np.isin(template.skin_vertex, np.flatnonzero(template.regions["scalp"] > 0.99))
    texels = (template.skin_uv[scalp] * 1023).astype(int)
    luma = np.median(skin[texels[:, 1], texels[:, 0]] @ [0.2126, 0.7152, 0.0722])
    srgb = 1.055 * luma ** (1 / 2.4) - 0.055
    assert abs(1 - srgb - darkness) < 0.02


def test_stock_skin_ages(template):
    young, old = (template.stock_skin(age, 0.0, 0.3)[130:520, 300:720] for age in (25, 75))
    rough = [np.abs(np.diff(face.mean(-1), axis=0)).mean() for face in (young, old)]
    assert rough[1] > 1.02 * rough[0]  # wrinkles


def test_materials(template):
    materials = template.stock_materials(MESH_PARTS)
    assert materials["lashes"].alpha.max() > 0.9 and materials["lashes"].alpha.min() < 0.1
    assert materials["eyes"].alpha is None
    assert materials["eyes"].albedo.shape[0] == materials["eyes"].albedo.shape[1]
    blue, brown = (template.eye_material(c).albedo.mean((0, 1)) for c in ("blue", "brown"))
    assert blue[2] > brown[2]


def test_unknown_eye_colour(template):
    with pytest.raises(OptionError, match="'octarine' is unknown. Use one of brown"):
        template.eye_material("octarine")


def test_missing_template(tmp_path):
    with pytest.raises(WeightsError, match="head_template.npz is missing"):
        HeadTemplate.load(tmp_path)
