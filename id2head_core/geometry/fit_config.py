"""Settings of the geometry stage."""

from dataclasses import dataclass, field

from ..guidance.score_distillation import TimestepSchedule, Weighting


@dataclass(frozen=True)
class CombConfig:
    """Settings of the combing; lengths in mm."""

    views: int = 2
    """Images per step."""
    rounds: int = 4
    """How often the prior draws."""
    denoising_steps: int = 6
    """Network evaluations per picture, twice that with guidance."""
    guidance_scale: float = 2.0
    """s of classifier-free guidance."""
    first_timestep: int = 800
    """Noise of the first pictures: how freely the prior draws ..."""
    last_timestep: int = 450
    """... and of the last ones."""
    rate: float = 1.5e-3
    """Learning rate of the locks, metres per step."""
    smoothness: float = 4e-6
    """Loss weight of squared steps of the relief between cells, mm."""


@dataclass(frozen=True)
class GeometryFitConfig:
    """Loss weights are relative to half the mean squared error of the image; lengths in mm."""

    steps: int = 120
    """Steps of Adam."""
    views: int = 2
    """Images per step."""
    guidance_scale: float = 5.0
    """s of classifier-free guidance."""
    expression_guidance: float = 2.0
    """s of views of the face in an expression, unless a text is contrasted with another: a larger
    one makes all folds of the skin as deep as they go, or as shallow."""
    rescale: float = 0.5
    """Share of the contrast that guidance added and that is taken back."""
    weighting: Weighting = "x0"
    """Of score distillation."""
    coarse_share: float = 0.6
    """Share of the steps that move coarse levels, at large timesteps; the rest is for detail."""
    coarse: TimestepSchedule = TimestepSchedule(
        high_start=0.98, high_end=0.65, low_start=0.8, low_end=0.55
    )
    """Timesteps over the coarse steps."""
    fine: TimestepSchedule = TimestepSchedule(
        high_start=0.6, high_end=0.2, low_start=0.4, low_end=0.02
    )
    """Timesteps over the fine steps."""
    face: float = 0.3
    """Share of views of the face; the others look from around the sides and the back."""
    neutral: float = 0.3
    """Share of views without an expression ..."""
    neutral_face: float = 0.1
    """... and of views of the face, which the photo mostly shows at rest."""
    hair_rates: tuple[float, float, float] = (1.2e-3, 5e-4, 2e-4)
    """Learning rates of the hair's levels, coarse first, metres per step."""
    hair_least: float = 0.85
    """Share of the fitted thickness that stays wherever the photo's hair goes on: a prior that is
    unsure of the back must not make holes."""
    free_hair_least: float = 0.5
    """The same without a photo: what the text named is reshaped, and no half of it is lost."""
    hair_reach: float = 0.012
    """How far beyond the fitted outline hair may grow where the photo's hair goes on, metres: more
    left single strands on neck and shoulders."""
    skin_rate: float = 2e-4
    """Learning rate of the skin's residual, metres per step."""
    expression_rate: float = 1e-3
    """Learning rate of k_exp and Psi_g."""
    fold_rate: float = 0.1
    """Learning rate of the folds' strengths; 1 is the deepest fold."""
    skin_cap: float = 0.006
    """Largest residual where the photo did not look, metres."""
    free_skin_cap: float = 0.015
    """Largest residual without a photo, metres."""
    anchor: float = 2e-5
    """Loss weight of the squared residual, mm, mostly where the photo saw the face."""
    laplacian: float = 2e-4
    """Loss weight of the residual's squared distance from its neighbours' mean, mm."""
    hair_smoothness: float = 2e-3
    """Loss weight of squared steps of the hair's change between cells, mm."""
    expression: float = 1e-3
    """Loss weight of the squared learned coefficients."""
    landmark: float = 1.0
    """Loss weight of the landmarks' squared motion, inter-ocular distances."""
    silhouette: float = 0.5
    """Loss weight of the squared difference between the photo's head mask and the coverage."""
    comb_steps: int = 80
    """How many of the steps, the last ones, comb the hair; none without hair ..."""
    comb_share: float = 0.5
    """... and at most this share of them."""
    comb: CombConfig = field(default_factory=CombConfig)
    """Of the combing."""
    preview_every: int = 10
    """Steps between two pictures; 0 = none."""
