"""Sample plausible heads from MakeHuman's shapes, and their principal components.

The sampler draws phenotypes (gender, age, weight, ancestry, ...) and small local changes of the
features; the components are taken after removing position and size of the face, so that a
similarity transform and the identity coefficients do not compete.
"""

from dataclasses import dataclass

import numpy as np

from .bake_sources import PHENOTYPES

LOCAL_SPREAD = {
    "head": 0.25, "forehead": 0.35, "eyebrows": 0.25, "eye": 0.30, "ear": 0.25, "nose": 0.30,
    "mouth": 0.28, "cheek": 0.40, "chin": 0.32, "neck": 0.25,
}  # fmt: skip
"""Standard deviation of local changes by region."""

IMPLAUSIBLE = {
    "ear-rot", "ear-shape-pointed", "ear-shape-triangle", "eye-eyefold-angle", "eye-push1",
    "eye-push2", "head-angle", "head-trans", "head-trans-forward", "head-trans-out",
    "head-trans-up", "measure-neck-height", "mouth-laugh-lines", "mouth-trans-out", "neck-trans",
    "neck-trans-forward", "neck-trans-out", "neck-trans-up", "nose-compression", "nose-greek",
    "nose-hump", "nose-trans-out",
}  # fmt: skip
"""Local changes that are poses, asymmetries or caricatures."""

AGE_ANCHORS = {"baby": 0.0, "child": 1 / 3, "young": 2 / 3, "old": 1.0}
"""Age parameter of each age phenotype."""


@dataclass(frozen=True)
class ShapeSpace:
    """The shapes that identities are mixed from; all differences from ``base``, in decimetres.

    Attributes:
        base: float32 ``[N, 3]``.
        macro_keys: phenotype values of each macro shape.
        macro: float32 ``[M, N, 3]``.
        local: name to the float32 ``[N, 3]`` pair of a positive and a negative coefficient.
    """

    base: np.ndarray
    macro_keys: list[tuple[str, ...]]
    macro: np.ndarray
    local: dict[str, tuple[np.ndarray, np.ndarray]]

    def vertices(self, phenotype: dict[str, float], local: dict[str, float]) -> np.ndarray:
        """The head ``[N, 3]`` of phenotypes in [0, 1] and local changes in [-1, 1]."""
        share = phenotype_shares(phenotype)
        weights = np.array([np.prod([share[v] for v in key]) for key in self.macro_keys])
        used = np.flatnonzero(weights > 1e-6)
        out = self.base + np.tensordot(weights[used].astype(np.float32), self.macro[used], 1)
        for name, value in local.items():
            out += abs(value) * self.local[name][0 if value >= 0 else 1]
        return out


@dataclass(frozen=True)
class Subject:
    """One sampled head: phenotypes and local changes."""

    phenotype: dict[str, float]
    local: dict[str, float]

    @property
    def ancestry(self) -> str:
        """The dominant one of ``african``, ``asian``, ``caucasian``."""
        return max(PHENOTYPES["race"], key=self.phenotype.__getitem__)


def phenotype_shares(phenotype: dict[str, float]) -> dict[str, float]:
    """Interpolation weight of every phenotype value."""
    races = np.array([phenotype[name] for name in PHENOTYPES["race"]])
    shares = dict(zip(PHENOTYPES["race"], races / races.sum(), strict=True))
    for name, values in PHENOTYPES.items():
        if name == "race":
            continue
        if name == "age":
            anchors = np.array([AGE_ANCHORS[v] for v in values])
        else:
            anchors = np.linspace(0, 1, len(values))
        for i, value in enumerate(values):
            tent = np.eye(len(values))[i]
            shares[value] = float(np.interp(phenotype.get(name, 0.5), anchors, tent))
    return shares


def sample_subject(generator: np.random.Generator, names: list[str]) -> Subject:
    """Draw a plausible adult.

    Args:
        generator: source of randomness.
        names: all local changes of the shape space.
    """
    concentration = [0.4] * 3 if generator.random() < 0.85 else [3.0] * 3
    race = np.clip(generator.dirichlet(concentration), 0.03, None)
    young, middle, old = (generator.uniform(*r) for r in ((0.66, 0.75), (0.75, 0.9), (0.9, 1.0)))
    phenotype = {
        "gender": generator.choice([generator.uniform(0, 0.2), generator.uniform(0.8, 1)]),
        "age": generator.choice([young, middle, old], p=[0.6, 0.25, 0.15]),
        "weight": np.clip(generator.normal(0.5, 0.2), 0.1, 0.95),
        "muscle": np.clip(generator.normal(0.5, 0.15), 0.1, 0.9),
        "height": 0.5,
        "proportions": generator.uniform(0.3, 0.9),
        **dict(zip(PHENOTYPES["race"], race, strict=True)),
    }
    local = {}
    for stem, members in local_groups(names).items():
        value = np.clip(generator.normal(0, LOCAL_SPREAD[stem.split("-")[0]]), -0.9, 0.9)
        for name in members:
            own = generator.normal(0, 0.06) if len(members) > 1 else 0.0
            local[name] = float(np.clip(value + own, -1, 1))
    return Subject({k: float(v) for k, v in phenotype.items()}, local)


def local_groups(names: list[str]) -> dict[str, list[str]]:
    """Plausible local changes; left and right of one feature form a group."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        stem = name[2:] if name[:2] in ("l-", "r-") else name
        if stem.split("-")[0] in LOCAL_SPREAD and stem not in IMPLAUSIBLE:
            groups.setdefault(stem, []).append(name)
    return groups


def identity_basis(
    space: ShapeSpace,
    mirror: np.ndarray,
    face: np.ndarray,
    head: np.ndarray,
    *,
    components: int,
    samples: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and principal components of sampled heads.

    Args:
        space: shapes over the template's vertices.
        mirror: int ``[N]``; every head enters together with its mirror image.
        face: bool ``[N]``, vertices whose centroid and RMS radius are normalised.
        head: bool ``[N]``, vertices whose variance is explained.
        components: number of components K.
        samples: number of heads (half of them are mirror images).
        seed: of the sampler.

    Returns:
        Mean ``[N, 3]``, basis ``[K, N, 3]`` (unit-variance coefficients), explained share ``[K]``.
    """
    heads = np.empty((samples, len(space.base), 3), np.float32)
    names = list(space.local)
    reference = space.base[face] - space.base[face].mean(0)
    size = np.sqrt((reference**2).sum(1).mean())
    for i in range(samples // 2):
        subject = sample_subject(np.random.default_rng((seed, i)), names)
        vertices = space.vertices(subject.phenotype, subject.local)
        points = vertices[face] - vertices[face].mean(0)
        scale = size / np.sqrt((points**2).sum(1).mean())
        heads[2 * i] = (vertices - vertices[face].mean(0)) * scale
        heads[2 * i + 1] = heads[2 * i][mirror] * [-1, 1, 1]
    mean = heads.mean(0)
    heads -= mean
    centred = heads[:, head].reshape(samples, -1)
    variance, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    variance, vectors = variance[::-1], vectors[:, ::-1][:, :components]
    codes = (vectors * np.sqrt(samples)).astype(np.float32)  # unit variance, [samples, K]
    basis = (codes.T @ heads.reshape(samples, -1) / samples).reshape(components, -1, 3)
    # the sign of an eigenvector is arbitrary: fix it by the largest entry
    peak = np.abs(basis.reshape(components, -1)).argmax(1)
    basis *= np.sign(basis.reshape(components, -1)[np.arange(components), peak])[:, None, None]
    explained = np.cumsum(variance)[:components] / variance.sum()
    return mean + space.base[face].mean(0), basis, explained
