"""Settings of the appearance stage."""

from dataclasses import dataclass

from ..guidance.score_distillation import TimestepSchedule


@dataclass(frozen=True)
class AppearanceFitConfig:
    """Loss weights are relative to the mean squared error of the image."""

    steps: int = 80
    """Steps of Adam."""
    views: int = 2
    """Images per step."""
    guidance_scale: float = 5.0
    """s of classifier-free guidance."""
    rescale: float = 0.5
    """Share of the contrast that guidance added and that is taken back."""
    schedule: TimestepSchedule = TimestepSchedule(high_start=0.9, high_end=0.4)
    """Timesteps over the progress of the fit."""
    front: float = 0.25
    """Share of front views; the others are sides and backs."""
    neutral: float = 0.3
    """Share of views without an expression."""
    light: float = 0.5
    """Share of views whose residual is taken under a random light."""
    colour_rate: float = 0.06
    """Learning rate of the log colour of the whole skin, where no photo and no text tells it."""
    skin_rate: float = 0.02
    """Learning rate of the skin's log gains."""
    hair_rate: float = 0.05
    """Learning rate of the hair's log gains."""
    transformer_rate: float = 2e-3
    """Learning rate of k_a and Psi_a."""
    keep_hair_colour: bool = True
    """Whether the hair as a whole keeps its colour, which was measured in the photo; False for
    edits of the hair."""
    keep_tone: bool = True
    """Whether skin that the photo did not show keeps its mean colour: it was matched to the photo,
    or without a photo to the tone that the text names. False for edits of the skin."""
    amplitude: float = 0.05
    """Loss weight of the squared log gains of skin that the photo did not show: its neighbourhood
    was matched to the photo already."""
    smoothness: float = 1e-3
    """Loss weight of the maps' squared slopes."""
    seam: float = 0.03
    """Loss weight of steps where the texture is cut."""
    leak: float = 0.1
    """Loss weight of changes that a light could have caused, its colour included."""
    expression: float = 3e-3
    """Loss weight of the expressions' log gains; tenfold where the photo saw the skin."""
    preview_every: int = 10
    """Steps between two preview pictures; 0 = none."""
