"""What the photo says along each ray of the hair template: hair, not hair, or unseen."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from ..render.visibility import visible_faces
from ..structures import HeadFit, Identity
from .hair import HairTemplate

MAP_SIZE = 256
"""Side of the maps that evidence is read from, pixels."""

SKIN = (1, 2, 3, 4, 5, 6, 10, 11, 12, 13)
EARS, NECK, CLOTH, HAIR, HAT = (7, 8, 9), (14, 15), (16,), (17,), (18,)
"""Classes of the face parser."""

HIDDEN = 0.004
"""A point this far behind the head's surface is hidden, metres."""

HANGING_SHARE = 0.35
"""Share of the rays beside the jaw that show hair, from which the ear above is covered."""


@dataclass(frozen=True)
class HairView:
    """The photo around the head, ``MAP_SIZE`` pixels wide.

    Attributes:
        identity: photo and parsing.
        fit: the fitted head.
        template: the hair template.
    """

    identity: Identity
    fit: HeadFit
    template: HairTemplate

    @cached_property
    def to_map(self) -> np.ndarray:
        """Photo pixels to map pixels, ``[2, 3]``."""
        size = self.identity.parsing.probabilities.shape[-1]
        return self.identity.parsing.photo_to_crop * (MAP_SIZE / size)

    def locate(self, points: np.ndarray) -> np.ndarray:
        """World ``[..., 3]`` to map column, map row and depth, ``[..., 3]``."""
        width, height = self.identity.photo.size
        pixels = self.fit.camera.pixels(points.reshape(-1, 3), width, height)
        mapped = pixels[:, :2] @ self.to_map[:, :2].T + self.to_map[:, 2]
        return np.c_[mapped, pixels[:, 2]].reshape(points.shape).astype(np.float32)

    def classes(self, *groups: tuple[int, ...]) -> np.ndarray:
        """Probability of the classes ``[M, M]``, 0 outside the photo."""
        picked = self.identity.parsing.probabilities[list(sum(groups, ()))].sum(0)
        picked = cv2.resize(picked, (MAP_SIZE, MAP_SIZE), interpolation=cv2.INTER_AREA)
        return picked * self.inside

    @cached_property
    def inside(self) -> np.ndarray:
        """1 where the map shows the photo, ``[M, M]``."""
        width, height = self.identity.photo.size
        whole = np.ones((height, width), np.uint8)
        return cv2.warpAffine(whole, self.to_map, (MAP_SIZE, MAP_SIZE)).astype(np.float32)

    @cached_property
    def hair(self) -> np.ndarray:
        """Probability of this head's hair ``[M, M]``: only areas that touch the skull."""
        hair = self.classes(HAIR)
        count, label = cv2.connectedComponents((hair > 0.4).astype(np.uint8))
        rows, columns, cap = self.template.grid
        skull = self.template.image(self.proxy)[: cap + 4].reshape(-1, 3)
        touched = self.sample(label.astype(np.float32), self.locate(skull), nearest=True)
        touched = np.bincount(touched.astype(int), minlength=count) > 3
        touched[0] = True  # below the threshold: soft edges stay
        return hair * touched[label]

    @cached_property
    def proxy(self) -> np.ndarray:
        """Skull proxy of the fitted head, ``[P, 3]``."""
        return self.template.proxy_vertices(self.fit.neutral)

    @cached_property
    def metres_per_pixel(self) -> float:
        """Of the map, at the depth of the skull."""
        a, b = self.locate(np.array([[0.0, -0.05, 0], [0.0, 0.05, 0]]))
        return float(0.1 / np.linalg.norm(a[:2] - b[:2]))

    @cached_property
    def toward(self) -> np.ndarray:
        """Cosine between each ray and the direction to the camera, ``[P]``."""
        view = self.fit.camera.position - self.proxy
        view /= np.linalg.norm(view, axis=1, keepdims=True)
        return (view * self.template.directions(self.fit.neutral)).sum(1)

    @cached_property
    def on_left(self) -> np.ndarray:
        """Rays of the subject's left half, bool ``[P]``."""
        rows, columns, _ = self.template.grid
        return np.tile(np.arange(columns) > columns // 2, rows)

    @cached_property
    def ear_votes(self) -> tuple[float | None, float | None]:
        """Of the subject's right and left ear: 1 covered by hair, -1 shown, None unknown."""
        height = self.template.ear_height
        tips = self.proxy + self.template.directions(self.fit.neutral) * height[:, None]
        located = self.locate(tips)
        hair, ear = (self.sample(image, located) for image in (self.hair, self.classes(EARS)))
        depth = self.sample(self.head_depth.clip(0, 9), located, nearest=True)
        facing = (height > 0.008) & (located[:, 2] < depth + 2 * HIDDEN)
        votes = []
        for side in (~self.on_left, self.on_left):
            seen = side & facing
            shown, covered = (ear * seen).sum(), (hair * seen).sum()
            certain = shown + covered > 0.3 * seen.sum() and seen.sum() > 8
            if certain:
                votes.append((covered - shown) / (covered + shown + 1e-6))
            else:
                votes.append(1.0 if self._hangs_beside(side) else None)
        return tuple(votes)

    def _hangs_beside(self, side: np.ndarray) -> bool:
        """Whether hair hangs beside the jaw on a side whose ear the photo does not tell."""
        x, y, z = self.proxy.T
        jaw = side & (y < -0.05) & (y > -0.1) & (z > -0.03) & (z < 0.04)
        beside = self.proxy + 0.012 * self.template.directions(self.fit.neutral)
        hair = self.sample(self.hair, self.locate(beside))[jaw]
        return bool(hair.size) and float((hair > 0.5).mean()) > HANGING_SHARE

    @cached_property
    def head_depth(self) -> np.ndarray:
        """Depth of the bare head ``[M, M]``, metres, infinity beside it."""
        return self.depth_of(self.fit.vertices, self.template.skin_faces)[0]

    def depth_of(self, vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Depth (metres, infinity = empty) and face index of a mesh on the map, ``[M, M]`` each."""
        located = self.locate(vertices)
        w = located[:, 2]
        x, y = located[:, 0] * 2 / MAP_SIZE - 1, 1 - located[:, 1] * 2 / MAP_SIZE
        clip = np.stack([x * w, y * w, w, w], 1)
        index = visible_faces(clip, faces, MAP_SIZE, MAP_SIZE)
        depth = w[faces].mean(1)[index]
        return np.where(index >= 0, depth, np.inf).astype(np.float32), index

    def sample(
        self, image: np.ndarray, located: np.ndarray, *, nearest: bool = False
    ) -> np.ndarray:
        """Value of a map at ``located [..., 3]``; 0 outside the map."""
        shape = located.shape[:-1]
        columns = located[..., 0].reshape(1, -1) - 0.5
        rows = located[..., 1].reshape(1, -1) - 0.5
        out = [
            cv2.remap(
                image, columns[:, i : i + 32000], rows[:, i : i + 32000],
                cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT,
            )
            for i in range(0, columns.shape[1], 32000)
        ]  # fmt: skip
        return np.concatenate(out, 1).reshape(shape)


def curliness(view: HairView) -> float:
    """0 for straight hair, 1 for curls: how little the photo's hair has one direction locally.

    Coherence of the structure tensor (Bigun & Granlund 1987), weighted by gradient energy.
    """
    size = view.identity.parsing.probabilities.shape[-1]
    matrix = view.identity.parsing.photo_to_crop
    crop = cv2.warpAffine(view.identity.photo.pixels, matrix, (size, size), flags=cv2.INTER_AREA)
    log = np.log(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32) + 8)
    hair = (cv2.resize(view.hair, (size, size)) > 0.7).astype(np.uint8)
    hair = cv2.erode(hair, np.ones((9, 9), np.uint8))
    dx, dy = cv2.Sobel(log, cv2.CV_32F, 1, 0), cv2.Sobel(log, cv2.CV_32F, 0, 1)
    xx, xy, yy = (cv2.GaussianBlur(p, (0, 0), 6.0) for p in (dx * dx, dx * dy, dy * dy))
    energy = (xx + yy) * hair
    if energy.sum() < 1e-3:
        return 0.3
    coherence = np.hypot(xx - yy, 2 * xy) / (xx + yy + 1e-6)
    mean = float((coherence * energy).sum() / energy.sum())
    return float(np.clip((0.62 - mean) / 0.22, 0, 1))
