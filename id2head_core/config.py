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

    photo_evidence: bool = True
    """Fit landmarks, texture and hair of the photo. False is the pure mode: the head comes from
    the photo's embedding, a text and score distillation alone."""

    shape_steps: int = 40
    """Steps of the ArcFace fit of the shape, where the photo cannot tell it; 0 switches it off."""

    geometry_steps: int = 170
    """Steps of score distillation of the geometry, of which the last comb the hair; 0 switches it
    off."""

    appearance_steps: int = 60
    """Steps of score distillation of the albedo; 0 switches it off."""

    guidance_scale: float = 5.0
    """s of classifier-free guidance of the geometry, ``uncond + s (cond - uncond)``."""

    texture_guidance_scale: float = 3.0
    """The same for the albedo, whose colours a larger scale saturates."""

    prompt: str = ""
    """Text for the prior; empty = what was measured, such as "a young woman with long hair"."""

    base: str | None = None
    """Folder of another prior (of ``train_prior``), or of Stable Diffusion 1.5; None = the shipped
    prior."""

    adapters: str | None = None
    """Folder of the adapters for a Stable Diffusion ``base``."""

    refine_steps: int = 25
    """Steps of the luminance-only ArcFace refinement; 0 switches it off."""

    hair: bool = True
    """Build hair from the photo's hair mask."""

    face_models: str = "embedded"
    """``"embedded"``, or ``"buffalo_l"`` for InsightFace's larger pack if the user has it."""

    face_index: int | None = None
    """Which face of a group photo, counted from the left; None asks for a single clear face."""

    @property
    def optimises(self) -> bool:
        """Whether anything follows the first head."""
        steps = (self.shape_steps, self.geometry_steps, self.appearance_steps, self.refine_steps)
        return any(steps)

    def __post_init__(self):
        """Check ranges; raises OptionError."""
        if self.texture_size not in (256, 512, 1024, 2048):
            raise OptionError(
                f"Texture size {self.texture_size} is not supported. Use 256, 512, 1024 or 2048."
            )
        for name in ("shape_steps", "refine_steps"):
            if not 0 <= getattr(self, name) <= 200:
                raise OptionError(f"{name} is {getattr(self, name)}. Use a number from 0 to 200.")
        for name in ("geometry_steps", "appearance_steps"):
            if not 0 <= getattr(self, name) <= 2000:
                raise OptionError(f"{name} is {getattr(self, name)}. Use a number from 0 to 2000.")
        for name in ("guidance_scale", "texture_guidance_scale"):
            if not 1 <= getattr(self, name) <= 50:
                raise OptionError(f"{name} is {getattr(self, name)}. Use a number from 1 to 50.")
        if not (self.photo_evidence or (self.geometry_steps and self.appearance_steps)):
            raise OptionError(
                "Without photo_evidence the head comes from score distillation alone: "
                "geometry_steps and appearance_steps must not be 0."
            )
        if not 0 <= self.seed < 2**31:
            raise OptionError(
                f"Seed {self.seed} is out of range. Use a number from 0 to 2147483647."
            )
        if self.face_models not in ("embedded", "buffalo_l"):
            raise OptionError(
                f"Face models '{self.face_models}' are unknown. Use 'embedded' or 'buffalo_l'."
            )


def preview(**changes) -> PipelineConfig:
    """Quick preset: no optimisation after the photo fit. ``changes`` override single fields."""
    quick = PipelineConfig(
        preset="preview", shape_steps=0, geometry_steps=0, appearance_steps=0, refine_steps=0
    )
    return replace(quick, **changes)


def full(**changes) -> PipelineConfig:
    """Preset for the best head that this machine makes. ``changes`` override single fields."""
    return replace(PipelineConfig(preset="full"), **changes)


def pure(**changes) -> PipelineConfig:
    """Preset of the paper: embedding, text and score distillation only."""
    slow = PipelineConfig(
        preset="pure", photo_evidence=False, geometry_steps=300, appearance_steps=200,
        texture_guidance_scale=1.5,  # 3 saturates skin that starts without a photo's colour
    )  # fmt: skip
    return replace(slow, **changes)
