"""Which of the template's styles comes nearest to the photo's hair."""

import numpy as np

from .hair import TUCK
from .hair_view import HAT, HairView

LONG = ("bob01", "bob02", "braid01", "long01", "ponytail01")
"""Styles that are rare on men."""


def choose_style(view: HairView) -> str:
    """Style whose silhouette in the photo overlaps the hair mask best."""
    scores = {
        name: silhouette_overlap(view, view.template.thickness[i])
        - (0.08 if name in LONG and view.identity.gender < 0.35 else 0.0)
        - (0.04 if name.startswith("short") and view.identity.gender > 0.65 else 0.0)
        - (0.12 if name in ("braid01", "ponytail01") else 0.0)  # their tails are never seen
        - (0.12 if name == "afro01" else 0.0)  # its back is far from most heads
        for i, name in enumerate(view.template.styles)
    }
    return max(scores, key=scores.get)


def silhouette_overlap(view: HairView, thickness: np.ndarray) -> float:
    """Intersection over union of rendered hair and the photo's hair mask, in [0, 1]."""
    template = view.template
    height = np.where(thickness > 0, thickness, -TUCK)
    shell = view.proxy + template.directions(view.fit.neutral) * height[:, None]
    kept = template.faces[(thickness > 0)[template.faces].any(1)]
    vertices = np.concatenate([view.fit.vertices, shell]).astype(np.float32)
    faces = np.concatenate([template.skin_faces, kept + len(view.fit.vertices)])
    _, index = view.depth_of(vertices, faces)
    drawn = index >= len(template.skin_faces)
    valid = (view.inside > 0.5) & (view.classes(HAT) < 0.5)
    wanted = view.hair > 0.5
    union = ((drawn | wanted) & valid).sum()
    return float((drawn & wanted & valid).sum() / max(union, 1))
