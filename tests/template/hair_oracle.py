"""Photos of known hair: the template's styles on the mean head, drawn with plain colours."""

import numpy as np

from id2head_core.camera import orbit_camera
from id2head_core.structures import DetectedFace, FaceParsing, HairFit, HeadFit, Identity, Photo
from id2head_core.template.hair import hair_part
from id2head_core.template.hair_view import HairView

SIZE = 512
HAIR, SKIN, EAR, HAT = 17, 1, 7, 18


def style(template, name):
    return template.thickness[template.styles.index(name)]


def silhouettes(template, head, thickness, yaw=0.0):
    """Visible hair and visible bare head of the mean head, bool ``[M, M]``, and its fit."""
    camera = orbit_camera(yaw, target=(0, 0, 0), distance=1.4, fov_y=24)
    zeros = np.zeros_like(head.mean)
    fit = HeadFit(
        camera, yaw, 0, 0, np.zeros(1), np.zeros(1), zeros, head.mean, head.mean, 0.0
    )  # fmt: skip
    view = HairView(identity_of(np.zeros((SIZE, SIZE), int)), fit, template)
    part = hair_part(template, HairFit("x", thickness, np.ones(3)), head.mean)
    vertices, faces = head.mean, template.skin_faces
    if part is not None:
        vertices = np.concatenate([vertices, part.vertices])
        faces = np.concatenate([faces, part.faces + len(head.mean)])
    _, index = view.depth_of(vertices, faces)
    return index >= len(template.skin_faces), (index >= 0), fit


def identity_of(labels, pixels=None, gender=0.5):
    """Identity whose parsing is exactly ``labels [SIZE, SIZE]``."""
    if pixels is None:
        pixels = np.full((SIZE, SIZE, 3), 128, np.uint8)
    probabilities = (labels[None] == np.arange(19)[:, None, None]).astype(np.float32)
    parsing = FaceParsing(probabilities, np.eye(2, 3, dtype=np.float32))
    face = DetectedFace(
        np.array([0, 0, 1, 1]), 1.0, np.zeros((5, 2)), np.zeros((106, 2)), np.zeros(106)
    )
    return Identity(Photo(pixels), face, np.zeros(512), parsing, gender=gender)


def person(hair, body, colour=(90, 60, 30), **options):
    """Identity whose photo shows ``hair`` and ``body``, bool ``[M, M]``."""
    labels = np.where(hair, HAIR, np.where(body, SKIN, 0)).repeat(2, 0).repeat(2, 1)
    pixels = np.full((SIZE, SIZE, 3), 200, np.uint8)
    pixels[labels == SKIN] = (180, 140, 120)
    pixels[labels == HAIR] = colour
    return identity_of(labels, pixels, **options)


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()
