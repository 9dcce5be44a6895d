"""The small dataclasses that travel between the stages.

``photo -> Identity -> HeadFit -> HeadGeometry -> HeadAppearance -> HeadAsset``.
Arrays are numpy; world coordinates are metres in the frame of ``camera.py``.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from .camera import Camera


@dataclass(frozen=True)
class Photo:
    """A decoded, upright photo.

    Attributes:
        pixels: uint8 ``[H, W, 3]``, RGB, sRGB.
        source_format: the file's format, such as ``"JPEG"``.
    """

    pixels: np.ndarray
    source_format: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]


@dataclass(frozen=True)
class DetectedFace:
    """One face of a photo; all coordinates are photo pixels (x right, y down).

    Attributes:
        box: float32 ``[4]``: left, top, right, bottom.
        score: detector score in [0, 1].
        keypoints: float32 ``[5, 2]``: eyes, nose tip, mouth corners (image left first).
        landmarks: float32 ``[106, 2]``, the order of InsightFace's 2d106det.
        landmark_spread: float32 ``[106]``, pixels, disagreement between jittered detections.
    """

    box: np.ndarray
    score: float
    keypoints: np.ndarray
    landmarks: np.ndarray
    landmark_spread: np.ndarray


@dataclass(frozen=True)
class Inspection:
    """What a first look at a photo found, before any head is made.

    Attributes:
        index: of the chosen face in ``boxes``.
        boxes: ``(left, top, right, bottom)`` of every face, photo pixels, left to right.
        preview: uint8 ``[S, S, 3]``, the photo around the chosen head with its landmarks.
    """

    index: int
    boxes: list[tuple[float, float, float, float]]
    preview: np.ndarray


@dataclass(frozen=True)
class FaceParsing:
    """Semantic segmentation of the photo around the head.

    Attributes:
        probabilities: float32 ``[19, S, S]``, softmax over the classes of ``face_parsing.CLASSES``.
        photo_to_crop: float32 ``[2, 3]`` affine: photo pixels to pixels of the S x S crop.
    """

    probabilities: np.ndarray
    photo_to_crop: np.ndarray

    @cached_property
    def labels(self) -> np.ndarray:
        """Most likely class per pixel, uint8 ``[S, S]``."""
        return self.probabilities.argmax(0).astype(np.uint8)

    @property
    def scale(self) -> float:
        """Pixels of the crop per pixel of the photo."""
        return float(np.sqrt(abs(np.linalg.det(self.photo_to_crop[:, :2]))))

    def in_crop(self, points: np.ndarray) -> np.ndarray:
        """Photo pixels ``[..., 2]`` as pixels of the crop."""
        return points @ self.photo_to_crop[:, :2].T + self.photo_to_crop[:, 2]

    def in_photo(self, points: np.ndarray) -> np.ndarray:
        """Pixels of the crop ``[..., 2]`` as photo pixels."""
        inverse = np.linalg.inv(self.photo_to_crop[:, :2])
        return (points - self.photo_to_crop[:, 2]) @ inverse.T


@dataclass(frozen=True)
class Identity:
    """What stage 0 knows about the visitor.

    Attributes:
        photo: the whole photo, brightened if it was taken in the dark.
        face: the chosen face.
        embedding: float32 ``[512]``, ArcFace, unit norm.
        parsing: segmentation around the head.
        age: estimated years.
        gender: estimated probability of "female" in [0, 1].
        darkness: of the skin without the photo's light (see ``StockLook.skin``), once measured.
    """

    photo: Photo
    face: DetectedFace
    embedding: np.ndarray
    parsing: FaceParsing
    age: float = 30.0
    gender: float = 0.5
    darkness: float | None = None


@dataclass(frozen=True)
class HeadFit:
    """The template fitted to the photo.

    Attributes:
        camera: of the photo (clip space covers the whole photo).
        yaw: head pose, degrees; > 0 when the subject shows more of their left side.
        pitch: degrees.
        roll: degrees.
        identity: float32 ``[K]``, coefficients of the identity basis.
        actions: float32 ``[A]``, facial action weights of the photo's own expression.
        residual: float32 ``[N, 3]``, metres, per template vertex, on top of the linear model.
        vertices: float32 ``[N, 3]``: all template vertices with the photo's expression.
        neutral: float32 ``[N, 3]``: the same without the photo's expression.
        landmark_error: RMS, per cent of the inter-ocular distance.
    """

    camera: Camera
    yaw: float
    pitch: float
    roll: float
    identity: np.ndarray
    actions: np.ndarray
    residual: np.ndarray
    vertices: np.ndarray
    neutral: np.ndarray
    landmark_error: float


@dataclass(frozen=True)
class HairFit:
    """Hair measured in the photo.

    Attributes:
        style: name of the nearest template style, or ``"bald"``.
        thickness: float32 ``[P]``, metres above the skull proxy; <= 0 where there is no hair.
        colour: float32 ``[3]``, linear RGB, median of the lit hair.
        comb: float32 ``[P]`` in [0, 1], ``u`` of the texture at each ray, equal along a strand;
            None where strands run straight down from the crown.
    """

    style: str
    thickness: np.ndarray
    colour: np.ndarray
    comb: np.ndarray | None = None

    @property
    def volume(self) -> float:
        """A typical large thickness, metres; not of a bald head."""
        return float(np.quantile(self.thickness[self.thickness > 0], 0.75))


@dataclass(frozen=True)
class HeadPart:
    """One mesh of the head, with its 13 expressions.

    Attributes:
        name: ``"skin"``, ``"eyes"``, ``"teeth"``, ``"tongue"``, ``"lashes"``, ``"hair"`` or
            ``"strands"`` (loose ones over the hair).
        vertices: float32 ``[V, 3]``, metres, neutral.
        faces: int32 ``[F, 3]``, counter-clockwise from outside.
        uv: float32 ``[V, 2]``, glTF convention (0, 0 = top left of the texture).
        weld: int32 ``[V]``; vertices with the same number are one point of the surface that was
            duplicated at a UV seam (normals are computed across the seam).
        displacements: float32 ``[13, V, 3]``, metres, offsets from neutral, order of EXPRESSIONS.
    """

    name: str
    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    weld: np.ndarray
    displacements: np.ndarray


@dataclass(frozen=True)
class HeadGeometry:
    """All meshes of one head. The first part is the skin."""

    parts: tuple[HeadPart, ...]

    def part(self, name: str) -> HeadPart | None:
        """The part with this name, or None."""
        return next((part for part in self.parts if part.name == name), None)


@dataclass(frozen=True)
class Material:
    """Surface of one part.

    Attributes:
        albedo: float32 ``[H, W, 3]``, linear RGB in [0, 1], row 0 on top.
        alpha: float32 ``[H, W]`` in [0, 1] (cut-out at 0.5), or None where opaque.
        roughness: scalar in [0, 1], or float32 ``[H, W]``.
    """

    albedo: np.ndarray
    alpha: np.ndarray | None = None
    roughness: float | np.ndarray = 0.6


@dataclass(frozen=True)
class HeadAppearance:
    """Material of each part, by part name."""

    materials: dict[str, Material]


@dataclass(frozen=True)
class HeadAsset:
    """A finished head.

    Attributes:
        geometry: meshes.
        appearance: materials.
        metadata: JSON-serialisable settings, timings and notes (written to the .glb).
        path: the .glb on disk, once written.
        portrait: uint8 ``[S, S, 3]``, the photo around the head, for contact sheets; never written
            to the .glb.
    """

    geometry: HeadGeometry
    appearance: HeadAppearance
    metadata: dict = field(default_factory=dict)
    path: Path | None = None
    portrait: np.ndarray | None = None


@dataclass(frozen=True)
class Progress:
    """One event of the pipeline's generator.

    Attributes:
        stage: ``"face"``, ``"fit"``, ``"geometry"``, ``"appearance"`` or ``"asset"``.
        step: steps done in this stage.
        total: steps of this stage.
        message: one short line for the visitor.
        seconds_left: estimate for the whole run, or None.
        image: uint8 ``[H, W, 3]`` preview (photo crop, shaded render), or None.
        asset: a head to show from now on (its ``path`` is set), or None.
        final: True for the last event of a successful run.
        normals: uint8 ``[H, W, 3]``, render of the surface's normals, or None.
    """

    stage: str
    step: int
    total: int
    message: str = ""
    seconds_left: float | None = None
    image: np.ndarray | None = None
    asset: HeadAsset | None = None
    final: bool = False
    normals: np.ndarray | None = None
