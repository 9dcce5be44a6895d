"""A finished head on disk, so that an edit can go on from it: all but the photo."""

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch

from ..camera import Camera
from ..errors import EditError
from ..structures import HairFit, HeadAppearance, HeadFit, Material

VERSION = 2


@dataclass(frozen=True)
class HeadState:
    """What a head was built from.

    Attributes:
        fit: shape; its camera is the photo's.
        hair: or None for a head without.
        appearance: materials, finished.
        seen: float32 ``[S, S]``, how far the photo shows each texel of the skin; None = no photo.
        displacements: of the 13 expressions, float32 ``[13, N, 3]``, or None for the template's.
        embedding: ArcFace of the photo, float32 ``[512]``.
        age: years, as measured.
        gender: probability of "female".
        darkness: of the skin, see ``StockLook.skin``.
        beard: key of ``prompts.BEARDS``, or empty.
        edits: texts, oldest first.
        expression_state: of the ``ExpressionTransformer``, or None for the template's expressions.
    """

    fit: HeadFit
    hair: HairFit | None
    appearance: HeadAppearance
    seen: np.ndarray | None
    displacements: np.ndarray | None
    embedding: np.ndarray
    age: float
    gender: float
    darkness: float
    beard: str = ""
    edits: tuple[str, ...] = ()
    expression_state: dict[str, torch.Tensor] | None = None

    def save(self, path: Path) -> None:
        """Write one ``.npz``, atomically."""
        arrays, plain = {}, {"version": VERSION, "hair": None, "materials": {}}
        for field in fields(HeadFit):
            value = getattr(self.fit, field.name)
            if field.name == "camera":
                arrays["camera.world"], arrays["camera.projection"] = (
                    value.world_to_camera, value.projection,
                )  # fmt: skip
            else:
                arrays[f"fit.{field.name}"] = np.asarray(value)
        if self.hair is not None:
            plain["hair"] = self.hair.style
            arrays["hair.thickness"], arrays["hair.colour"] = self.hair.thickness, self.hair.colour
            if self.hair.comb is not None:
                arrays["hair.comb"] = self.hair.comb
        for name, material in self.appearance.materials.items():
            arrays[f"material.{name}.albedo"] = material.albedo.astype(np.float16)
            plain["materials"][name] = None
            if material.alpha is not None:
                arrays[f"material.{name}.alpha"] = material.alpha.astype(np.float16)
            if isinstance(material.roughness, np.ndarray):
                arrays[f"material.{name}.roughness"] = material.roughness.astype(np.float16)
            else:
                plain["materials"][name] = float(material.roughness)
        for name in ("seen", "displacements"):
            if getattr(self, name) is not None:
                arrays[name] = getattr(self, name).astype(np.float16)
        for name, value in (self.expression_state or {}).items():
            arrays[f"expression.{name}"] = value.numpy()
        arrays["embedding"] = np.asarray(self.embedding, np.float32)
        for name in ("age", "gender", "darkness"):
            plain[name] = float(getattr(self, name))
        plain["beard"], plain["edits"] = self.beard, list(self.edits)
        partial = path.with_name(path.name + ".partial.npz")
        np.savez_compressed(partial, plain=np.array(json.dumps(plain)), **arrays)
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> "HeadState":
        """Read a state.

        Raises:
            EditError: the file is missing, damaged or of another version.
        """
        again = "Make the head again, then edit it."
        if not path.is_file():
            raise EditError(f"This head was not kept for edits. {again}")
        try:
            with np.load(path, allow_pickle=False) as file:
                data = {name: file[name] for name in file.files}
            plain = json.loads(str(data["plain"]))
            if plain["version"] != VERSION:
                raise EditError(f"This head was made by another version. {again}")
            return cls._read(data, plain)
        except (ValueError, KeyError, OSError) as error:
            raise EditError(f"The file of this head is damaged ({error}). {again}") from error

    @classmethod
    def _read(cls, data: dict[str, np.ndarray], plain: dict) -> "HeadState":
        values = {}
        for field in fields(HeadFit):
            if field.name != "camera":
                value = data[f"fit.{field.name}"]
                values[field.name] = float(value) if value.ndim == 0 else value
        camera = Camera(data["camera.world"], data["camera.projection"])
        hair = None
        if plain["hair"] is not None:
            hair = HairFit(
                plain["hair"], data["hair.thickness"], data["hair.colour"], data.get("hair.comb")
            )
        materials = {}
        for name, roughness in plain["materials"].items():
            if roughness is None:
                roughness = data[f"material.{name}.roughness"].astype(np.float32)
            alpha = data.get(f"material.{name}.alpha")
            materials[name] = Material(
                data[f"material.{name}.albedo"].astype(np.float32),
                None if alpha is None else alpha.astype(np.float32),
                roughness,
            )
        kept = {
            name: data[name].astype(np.float32) if name in data else None
            for name in ("seen", "displacements")
        }
        start = "expression."
        learned = {
            name.removeprefix(start): torch.from_numpy(value)
            for name, value in data.items()
            if name.startswith(start)
        }
        return cls(
            HeadFit(camera, **values), hair, HeadAppearance(materials), **kept,
            embedding=data["embedding"], age=plain["age"], gender=plain["gender"],
            darkness=plain["darkness"], beard=plain["beard"], edits=tuple(plain["edits"]),
            expression_state=learned or None,
        )  # fmt: skip

    def with_materials(self, **changed: Material) -> "HeadState":
        """The same head with some materials replaced."""
        return replace(self, appearance=HeadAppearance({**self.appearance.materials, **changed}))

    @property
    def embedding_tensor(self) -> torch.Tensor:
        """The embedding as a tensor ``[512]``."""
        return torch.from_numpy(self.embedding)
