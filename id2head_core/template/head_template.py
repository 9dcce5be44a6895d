"""The head template: bust, eyes, teeth, tongue, lashes, their identities, actions and looks.

Baked offline by ``id2head_core.training.assets`` from CC0 data into ``weights/template/``. The
frame is that of ``camera.py``: metres, +Y up, the face looks along +Z, the origin is the middle of
the skull.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from .. import weights
from ..errors import WeightsError
from ..expressions import ACTION_WEIGHTS, FOLD_WEIGHTS
from ..structures import HeadFit, HeadPart, Material
from .ear_lobes import rounded_lobes
from .eyes import EyeFrame
from .mouth import MouthFrame
from .stock_look import StockLook

BAKED = "template/head_template.npz"

MOUTH_OPENERS = ("jawOpen", "mouthUpperUp", "mouthLowerDown", "mouthFunnel", "tongueOut")
"""Prefixes of actions that part the lips."""

MESH_PARTS = ("eyes", "teeth", "tongue", "lashes")
"""Bound parts of every head, in the order of ``parts``; brows belong to stock heads only."""


@dataclass(frozen=True)
class BoundPart:
    """A mesh that follows template vertices: ``sum(weight * v[reference]) + offset * fit scale``.

    Attributes:
        name: as in HeadPart, or ``"brows"``.
        faces: int32 ``[F, 3]``.
        uv: float32 ``[P, 2]``, glTF convention.
        weld: int32 ``[P]``, as in HeadPart.
        reference: int32 ``[P, 3]``, template vertices.
        weight: float32 ``[P, 3]``.
        offset: float32 ``[P, 3]``, metres.
        scale_vertices: int32 ``[3, 2]``: distances along x, y, z between these vertices ...
        scale_distance: float32 ``[3]``: ... over these (metres) are the fit scale.
    """

    name: str
    faces: np.ndarray
    uv: np.ndarray
    weld: np.ndarray
    reference: np.ndarray
    weight: np.ndarray
    offset: np.ndarray
    scale_vertices: np.ndarray
    scale_distance: np.ndarray

    def fit_scale(self, vertices: np.ndarray) -> np.ndarray:
        """Factors ``[3]`` on the offsets for a head ``vertices [N, 3]``."""
        first, second = self.scale_vertices.T
        axes = np.arange(3)
        return np.abs(vertices[first, axes] - vertices[second, axes]) / self.scale_distance

    def vertices(self, vertices: np.ndarray, scale: np.ndarray | None = None) -> np.ndarray:
        """Vertices ``[P, 3]`` on the head ``vertices [N, 3]``; ``scale`` as from ``fit_scale``."""
        scale = self.fit_scale(vertices) if scale is None else scale
        bound = np.einsum("pkc,pk->pc", vertices[self.reference], self.weight)
        return (bound + self.offset * scale).astype(np.float32)


@dataclass(frozen=True)
class HeadTemplate:
    """The template and its linear models.

    Attributes:
        mean: float32 ``[N, 3]``, metres; skin first, then helpers that bound parts refer to.
        identity_basis: float32 ``[K, N, 3]``, metres per unit-variance coefficient.
        action_basis: float32 ``[A, N, 3]``, metres at weight 1.
        action_names: the A facial actions, such as ``"jawOpen"`` or ``"mouthSmileLeft"``.
        fold_basis: float32 ``[7, N, 3]``, metres at strength 1, in the order of ``FOLD_WEIGHTS``.
        skin_vertex: int32 ``[R]``, template vertex of each render vertex of the skin.
        skin_faces: int32 ``[F, 3]``, render vertices, counter-clockwise from outside.
        skin_uv: float32 ``[R, 2]``, glTF convention, symmetric about u = 0.5.
        mirror: int32 ``[N]``, counterpart of each vertex under x -> -x.
        bound: eyes, teeth, tongue, lashes, brows.
        landmark_yaw: float32 ``[9]``, degrees, bins of the landmark correspondence.
        landmark_vertices: int32 ``[9, 106, 3]``, template vertices of each landmark.
        landmark_weights: float32 ``[9, 106, 3]``.
        landmark_sigma: float32 ``[9, 106]``, RMS in units of the inter-ocular distance.
        regions: float32 ``[N]`` masks in [0, 1]: face, ears, lips, scalp, neck, mouth_interior,
            eyelids, sockets.
        eye_frame: eyeballs and eyelids.
        mouth_frame: lips.
        look: stock textures.
    """

    mean: np.ndarray
    identity_basis: np.ndarray
    action_basis: np.ndarray
    action_names: tuple[str, ...]
    fold_basis: np.ndarray
    skin_vertex: np.ndarray
    skin_faces: np.ndarray
    skin_uv: np.ndarray
    mirror: np.ndarray
    bound: tuple[BoundPart, ...]
    landmark_yaw: np.ndarray
    landmark_vertices: np.ndarray
    landmark_weights: np.ndarray
    landmark_sigma: np.ndarray
    regions: dict[str, np.ndarray]
    eye_frame: EyeFrame
    mouth_frame: MouthFrame
    look: StockLook | None = None

    @classmethod
    def load(cls, weights_dir: Path | None = None) -> "HeadTemplate":
        """Read the baked template.

        Args:
            weights_dir: a folder that holds ``template/``; None for the project's own ``weights/``
                (whose checksums are verified).

        Raises:
            WeightsError: a file is missing or altered.
        """

        def locate(name: str) -> Path:
            if weights_dir is None:
                return weights.path(name)
            path = Path(weights_dir) / name
            if not path.is_file():
                raise WeightsError(
                    f"{path} is missing. Bake it: python -m id2head_core.training.assets --help"
                )
            return path

        return cls.load_geometry(locate(BAKED), StockLook(locate))

    @classmethod
    def load_geometry(cls, path: Path, look: StockLook | None = None) -> "HeadTemplate":
        """Read ``head_template.npz``; without ``look`` the stock textures are not available."""
        with np.load(path, allow_pickle=False) as file:
            data = {name: file[name] for name in file.files}

        def group(prefix: str) -> dict[str, np.ndarray]:
            start = prefix + "."
            return {k.removeprefix(start): v for k, v in data.items() if k.startswith(start)}

        parts = [str(name) for name in data["bound_names"]]
        plain = (
            "mean", "skin_vertex", "skin_faces", "skin_uv", "mirror", "landmark_yaw",
            "landmark_vertices", "landmark_weights", "landmark_sigma",
        )  # fmt: skip
        data["mean"] = rounded_lobes(data["mean"], data["regions.ears"] / 255)
        return cls(
            **{name: data[name] for name in plain},
            identity_basis=data["identity_basis"].astype(np.float32),
            action_basis=data["action_basis"].astype(np.float32),
            action_names=tuple(str(name) for name in data["action_names"]),
            fold_basis=data["fold_basis"].astype(np.float32),
            bound=tuple(BoundPart(name, **group(f"bound.{name}")) for name in parts),
            regions={k: v.astype(np.float32) / 255 for k, v in group("regions").items()},
            eye_frame=EyeFrame(**group("eye_frame")),
            mouth_frame=MouthFrame(**group("mouth_frame")),
            look=look,
        )

    def neutral(self, identity: np.ndarray, residual: np.ndarray | None = None) -> np.ndarray:
        """A head without expression.

        Args:
            identity: ``[k]`` coefficients, k <= K.
            residual: ``[N, 3]`` metres on top of the linear model, or None.

        Returns:
            float32 ``[N, 3]``, metres; the eyeballs are spheres that fit behind the lids, the lips
            touch.
        """
        vertices = self.mean + np.tensordot(identity, self.identity_basis[: len(identity)], 1)
        if residual is not None:
            vertices = vertices + residual
        return self.mouth_frame.close(self.eye_frame.settle(vertices)).astype(np.float32)

    def moved(self, fit: HeadFit, motion: np.ndarray) -> HeadFit:
        """The fit with its vertices moved by ``motion [N, 3]``; lids and lips still meet."""
        neutral = self.mouth_frame.close(self.eye_frame.settle(fit.neutral + motion))
        neutral = neutral.astype(np.float32)
        change = neutral - fit.neutral
        return replace(
            fit, neutral=neutral, vertices=fit.vertices + change, residual=fit.residual + change
        )

    def pose(
        self, identity: np.ndarray, actions: np.ndarray, residual: np.ndarray | None = None
    ) -> np.ndarray:
        """``neutral`` plus facial actions ``[A]``, float32 ``[N, 3]``."""
        offset = np.tensordot(actions, self.action_basis, 1)
        return (self.neutral(identity, residual) + offset).astype(np.float32)

    def size(self, vertices_neutral: np.ndarray) -> float:
        """Distance of the eyes over the mean head's."""
        return self.eye_frame.distance(vertices_neutral) / self.eye_frame.distance(self.mean)

    @cached_property
    def _expressions(self) -> np.ndarray:
        """Action weights of the 13 expressions, ``[13, A]``."""
        return self._action_table(ACTION_WEIGHTS)

    @cached_property
    def fold_weights(self) -> np.ndarray:
        """How far each expression folds the skin, float32 ``[13, 7]`` in [0, 1]."""
        return np.clip(self._expressions @ self._action_table(FOLD_WEIGHTS).T, 0, 1)

    def _action_table(self, weights: dict[str, dict[str, float]]) -> np.ndarray:
        """Named weights of actions as rows, float32 ``[R, A]``."""
        index = {name: i for i, name in enumerate(self.action_names)}
        table = np.zeros((len(weights), len(index)), np.float32)
        for row, actions in enumerate(weights.values()):
            for name, weight in actions.items():
                table[row, index[name]] = weight
        return table

    def expression_displacements(
        self, vertices_neutral: np.ndarray, folds: np.ndarray | None = None
    ) -> np.ndarray:
        """Offsets of the 13 expressions.

        Args:
            vertices_neutral: ``[N, 3]`` as from ``neutral``.
            folds: strengths ``[7]`` in [0, 1] of the skin's folds, or None = no folds.

        Returns:
            float32 ``[13, N, 3]``, metres. Blinking lids meet on the eyeball of this very head.
        """
        size = self.size(vertices_neutral)
        displacements = size * np.tensordot(self._expressions, self.action_basis, 1)
        if folds is not None:
            displacements += size * np.tensordot(self.fold_weights * folds, self.fold_basis, 1)
        closing, shut = self._closing(), self._lips_shut()
        for row, offset in enumerate(displacements):
            posed = self.eye_frame.correct(vertices_neutral, offset, closing[row])
            posed = self.mouth_frame.close(posed) if shut[row] else self.mouth_frame.separate(posed)
            displacements[row] = posed - vertices_neutral
        return displacements.astype(np.float32)

    def _closing(self) -> np.ndarray:
        """How far each expression shuts the right and the left eye, ``[13, 2]`` in [0, 1]."""
        columns = [self.action_names.index(f"eyeBlink{side}") for side in ("Right", "Left")]
        return np.clip(self._expressions[:, columns], 0, 1)

    def _lips_shut(self) -> np.ndarray:
        """Whether each expression leaves the lips shut, bool ``[13]``."""
        columns = [i for i, n in enumerate(self.action_names) if n.startswith(MOUTH_OPENERS)]
        return self._expressions[:, columns].sum(1) < 0.3

    def parts(self, neutral: np.ndarray, displacements: np.ndarray) -> tuple[HeadPart, ...]:
        """Meshes of a head: skin, eyes, teeth, tongue, lashes.

        Args:
            neutral: ``[N, 3]``.
            displacements: ``[13, N, 3]``.
        """
        rows = self.skin_vertex
        parts = [
            HeadPart(
                "skin",
                neutral[rows].astype(np.float32),
                self.skin_faces,
                self.skin_uv,
                rows,
                displacements[:, rows].astype(np.float32),
            )
        ]
        parts += [self._bound_part(name, neutral, displacements) for name in MESH_PARTS]
        return tuple(parts)

    def brows(self, neutral: np.ndarray, displacements: np.ndarray) -> HeadPart:
        """Eyebrow cards for heads whose skin has none; arguments as of ``parts``."""
        return self._bound_part("brows", neutral, displacements)

    def _bound_part(self, name: str, neutral, displacements) -> HeadPart:
        """One bound mesh with its expressions."""
        part = next(part for part in self.bound if part.name == name)
        scale = part.fit_scale(neutral)
        still = part.vertices(neutral, scale)
        moved = [part.vertices(neutral + offset, scale) - still for offset in displacements]
        return HeadPart(name, still, part.faces, part.uv, part.weld, np.stack(moved))

    def stock_skin(self, age: float, gender: float, darkness: float) -> np.ndarray:
        """Skin of somebody else, in our atlas; see ``StockLook.skin``."""
        return self.look.skin(age, gender, darkness)

    def eye_material(self, colour: str = "brown") -> Material:
        """Eyeballs with irises of ``colour``; see ``StockLook.eye_material``."""
        return self.look.eye_material(colour)

    def stock_materials(self, names) -> dict[str, Material]:
        """Materials of the bound parts ``names``."""
        return {name: self.look.material(name) for name in names}
