"""Eyelashes as four strips of cards that grow out of the lids' front edges, and their alpha."""

import cv2
import numpy as np

from .bake_bust import Bust
from .bake_openings import LEFT_EYE
from .bake_parts import FIT_SCALE, Part

UPPER = np.arange(0, 15)
LOWER = np.r_[0, np.arange(27, 13, -1)]
"""Columns of the lids from the corner at the nose outwards."""

ROWS = (0.0, 0.35, 0.7, 1.0)
"""Shares of the length at which a strip is bent."""

WIDTH, HEIGHT = 512, 128
"""Alpha texture: upper lashes in its upper half, lower ones in its lower half; roots at the bottom
of each half."""


def lashes(bust: Bust, rings: np.ndarray) -> Part:
    """Bind the strips to the rings of ``bake_openings.lid_rings``."""
    pieces, count = [], 0
    for eye in range(2):
        outwards = -1 if eye == 0 else 1
        for lid, columns in enumerate((UPPER, LOWER)):
            front = bust.base_row[rings[eye, LEFT_EYE.inner, columns]]
            back = bust.base_row[rings[eye, LEFT_EYE.inner - 2, columns]]
            along = np.linspace(0, 1, len(columns))  # nose to temple
            envelope = np.sin(np.pi * np.clip(0.06 + 0.86 * along, 0, 1)) ** 0.6
            length = (0.0064 if lid == 0 else 0.0032) * envelope * (0.75 + 0.35 * along)
            reference, weight, offset, uv = [], [], [], []
            for row in ROWS:
                # forwards like the rim of the lid, curling away from the eye, fanned outwards
                up = (0.42 * row**1.8 if lid == 0 else -0.65 * row) * length
                side = outwards * (0.55 * (along - 0.35)) * row * length
                ahead = 0.85 * row ** (0.8 if lid == 0 else 1) * length
                start = -0.12 if row == 0 else 0.0  # roots a little inside the skin
                reference.append(np.stack([front, back, front], 1))
                weight.append(np.tile([1 + start, -start, 0.0], (len(front), 1)))
                offset.append(np.stack([side, up, ahead], 1))
                v = (0.5 * lid) + 0.49 * (1 - row) + 0.005
                uv.append(np.stack([0.01 + 0.98 * along, np.full(len(along), v)], 1))
            grid = count + np.arange(len(ROWS) * len(columns)).reshape(len(ROWS), -1)
            a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
            faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).reshape(
                -1, 3
            )
            if (eye == 0) != (lid == 1):
                faces = faces[:, ::-1]
            pieces.append((faces, uv, reference, weight, offset))
            count += grid.size
    joined = [np.concatenate([np.concatenate(p[i]) for p in pieces]) for i in range(1, 5)]
    uv, reference, weight, offset = joined
    return Part(
        faces=np.concatenate([p[0] for p in pieces]),
        uv=uv,
        weld=np.arange(count),
        reference=reference,
        weight=weight,
        offset=offset,
        scale_vertices=bust.base_row[[pair[:2] for pair in FIT_SCALE["skull"]]],
        scale_distance=np.array([pair[2] for pair in FIT_SCALE["skull"]]) / 10,
    )


def lash_alpha(seed: int = 5) -> np.ndarray:
    """Alpha ``[128, 512]`` in [0, 1]: tapered, curved strands."""
    generator = np.random.default_rng(seed)
    scale = 4  # supersampling
    half = HEIGHT // 2
    image = np.zeros((HEIGHT * scale, WIDTH * scale), np.uint8)
    for lid, strands in enumerate((95, 60)):
        for i in range(strands):
            root = (i + generator.uniform(-0.35, 0.35) + 0.5) / strands * WIDTH
            length = half * generator.uniform(0.62, 0.98) * 0.97
            lean = generator.normal(0, 5) + (root / WIDTH - 0.4) * 16
            bend = generator.normal(0, 3)
            base = half * (lid + 1) - 0.5
            steps = np.linspace(0, 1, 14)
            x = root + lean * steps + bend * steps**2
            y = base - length * steps
            thick = (2.6 if lid == 0 else 2.0) * (1 - 0.85 * steps)
            for k in range(len(steps) - 1):
                ends = [tuple(int(v * scale) for v in (x[j], y[j])) for j in (k, k + 1)]
                cv2.line(image, *ends, 255, max(1, round(thick[k] * scale)), cv2.LINE_AA)
        # the line of the roots is nearly closed
        base = half * (lid + 1) * scale
        rows = slice(base - (5 if lid == 0 else 2) * scale, base)
        image[rows] = np.maximum(image[rows], 255 if lid == 0 else 120)
    return cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
