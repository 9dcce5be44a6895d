"""Settings of a run: one frozen dataclass and two presets."""

from dataclasses import dataclass, replace

from .errors import OptionError


@dataclass(frozen=True)
class PipelineConfig:
    """Everything that a run depends on besides the photo."""

    preset: str = "full"
    """Name of the preset that this started from."""

    seed: int = 0
    """Seed of all randomness in a run."""

    texture_size: int = 1024
    """Side of the skin's albedo texture, pixels."""

    refine_steps: int = 25
    """Steps of the luminance-only ArcFace refinement; 0 switches it off."""

    hair: bool = True
    """Build hair from the photo's hair mask."""

    face_models: str = "embedded"
    """``"embedded"``, or ``"buffalo_l"`` for InsightFace's larger pack if the user has it."""

    face_index: int | None = None
    """Which face of a group photo, counted from the left; None asks for a single clear face."""

    def __post_init__(self):
        """Check ranges; raises OptionError."""
        if self.texture_size not in (256, 512, 1024, 2048):
            raise OptionError(
                f"Texture size {self.texture_size} is not supported. Use 256, 512, 1024 or 2048."
            )
        if not 0 <= self.refine_steps <= 200:
            raise OptionError(f"refine_steps is {self.refine_steps}. Use a number from 0 to 200.")
        if not 0 <= self.seed < 2**31:
            raise OptionError(
                f"Seed {self.seed} is out of range. Use a number from 0 to 2147483647."
            )
        if self.face_models not in ("embedded", "buffalo_l"):
            raise OptionError(
                f"Face models '{self.face_models}' are unknown. Use 'embedded' or 'buffalo_l'."
            )


def preview(**changes) -> PipelineConfig:
    """Quick preset: no identity refinement. ``changes`` override single fields."""
    return replace(PipelineConfig(preset="preview", refine_steps=0), **changes)


def full(**changes) -> PipelineConfig:
    """Preset for the best head that this machine makes. ``changes`` override single fields."""
    return replace(PipelineConfig(preset="full"), **changes)
