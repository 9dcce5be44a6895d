"""Does the prior draw what it is asked for? Measurements on samples, as tables.

Every table has the same instrument's reading of true renders beside it, and chance.
"""

import torch

from ..expressions import EXPRESSIONS
from ..guidance.diffusion_prior import DOMAINS
from .prior_data import PriorDataset
from .prior_gallery import FACE_VIEW, Gallery, ReportRenderer
from .prior_probes import (
    RidgeProbe,
    expression_probe,
    face_pixels,
    frechet,
    pooled,
    principal_axes,
    probed_yaw,
    ranks,
    yaw_error,
    yaw_probe,
)
from .prior_samples import CLOSE_UP, WHOLE_HEAD, Sampler, Table, drawn_rows, percent, true_images
from .prior_validation import full_conditions, varied

FRONTAL = 40.0
"""Largest yaw of a face view that the expression probe reads, degrees."""

PROBE_IMAGES = 8000
"""Most training images of a probe."""

FEATURES = 32
"""Principal components of the Fréchet distance, of images averaged to 8 x 8."""


def single_expression(dataset: PriorDataset) -> torch.Tensor:
    """Where exactly one expression is at full strength, seen from the front: bool ``[N]``."""
    one = (dataset.expression == 1).sum(1) == 1
    one &= (dataset.expression > 0).sum(1) == 1
    return one & frontal_face(dataset)


def frontal_face(dataset: PriorDataset) -> torch.Tensor:
    """Where the face is seen close up and from the front: bool ``[N]``."""
    return (dataset.camera[:, 2] > CLOSE_UP) & (dataset.camera[:, 0].abs() < FRONTAL)


def identity_table(sampler: Sampler, renderer: ReportRenderer, gallery: Gallery) -> Table:
    """Whether the person whose embedding was given is the nearest of the gallery."""
    count, prior = len(gallery.embedding), sampler.prior
    cameras, neutral = torch.tensor([FACE_VIEW] * count), torch.zeros(count, len(EXPRESSIONS))
    mean = renderer.mean_control(cameras[:1], neutral[:1]).expand(count, -1, -1, -1)
    mean_points = renderer.keypoints(cameras)
    true = renderer.aligned(gallery.albedo, gallery.keypoints)
    true_features = renderer.recognised(true), face_pixels(true)
    asked = {
        "own control, own y_id": (gallery.embedding, gallery.control, gallery.keypoints),
        "own control, no y_id": (None, gallery.control, gallery.keypoints),
        "mean head's control, own y_id": (gallery.embedding, mean, mean_points),
        "no control, own y_id": (gallery.embedding, None, mean_points),
    }
    rows = []
    for name, (embedding, control, points) in asked.items():
        conditions = prior.conditions(
            [""] * count, cameras, embedding=embedding, expressions=neutral, control=control
        )
        drawn = renderer.aligned(sampler("texture", conditions), points)
        row = [name]
        for query, key in zip((renderer.recognised(drawn), face_pixels(drawn)), true_features,
                              strict=True):  # fmt: skip
            row += _retrieved(query, key, gallery.person)
        rows.append(row)
    chance, own = 1 / count, 2 / count if gallery.person.any() else 1 / count
    rows.append(["chance"] + [percent(v) for v in (chance, 5 * chance, own)] * 2)
    by = ("ArcFace", "pixels")
    return Table(
        "Identity",
        f"Albedo from the front, no text; nearest of {count} held-out subjects' true renders. "
        "Own kind: among painted subjects or among persons only.",
        ["asked", *(f"{f} {k}" for f in by for k in ("top-1", "top-5", "top-1 of own kind"))],
        rows,
    )


def _retrieved(queries, keys, person: torch.Tensor) -> list[str]:
    """Top-1, top-5, and top-1 among the own kind."""
    rank = ranks(queries, keys)
    groups = [group for group in (person, ~person) if group.any()]
    own = torch.cat([ranks(queries[g], keys[g]) for g in groups])
    return [percent((r < k).float().mean()) for r, k in ((rank, 1), (rank, 5), (own, 1))]


def expression_table(
    sampler: Sampler, renderer: ReportRenderer, training: PriorDataset, held_out: PriorDataset,
    count: int,
) -> Table:  # fmt: skip
    """Whether a probe sees the expression that was asked for."""
    batch = training.__getitems__(drawn_rows(single_expression(training), PROBE_IMAGES // 2))
    truth = batch["expression"].argmax(1)
    known = renderer.faces(true_images(batch, "geometry"), batch["camera"])
    probe = expression_probe(known, truth, len(EXPRESSIONS))
    batch = held_out.__getitems__(drawn_rows(single_expression(held_out), count))
    asked = batch["expression"].argmax(1)

    def accuracy(images):
        found = probe(face_pixels(renderer.faces(images, batch["camera"]))).argmax(1)
        return percent((found == asked).float().mean())

    rows = [["true renders", accuracy(true_images(batch, "geometry"))]]
    full = full_conditions(sampler.prior, held_out, batch)
    for name, variant in {
        "control and y_exp": "all",
        "control only": "no expression",
        "y_exp only": "no control",
        "neither": "no control, no expression",
    }.items():
        conditions = varied(full, variant, held_out, batch)
        rows.append([name, accuracy(sampler("geometry", conditions))])
    rows.append(["chance", percent(1 / len(EXPRESSIONS))])
    note = f"Normals of {len(asked)} held-out face views; ridge probe on {len(truth)} true renders."
    return Table("Expression", note, ["asked", "expression recognised"], rows)


def gender_table(
    sampler: Sampler, renderer: ReportRenderer, training: PriorDataset, held_out: PriorDataset,
    count: int,
) -> Table:  # fmt: skip
    """Whether a probe sees the woman or man that the text asked for, without an embedding."""

    def faces(images, batch):
        return face_pixels(renderer.faces(images, batch["camera"]))

    def chosen(dataset, most):
        female = dataset.gender[dataset.subject]
        fits = frontal_face(dataset) & ((female - 0.5).abs() > 0.4)
        batch = dataset.__getitems__(drawn_rows(fits, most))
        return batch, (female > 0.5)[batch["index"]]

    batch, women = chosen(training, PROBE_IMAGES // 2)
    probe = RidgeProbe.fit(
        faces(true_images(batch, "texture"), batch), torch.where(women, 1.0, -1.0)[:, None], 2e-3
    )
    known = len(women)
    batch, women = chosen(held_out, count)
    true = (probe(faces(true_images(batch, "texture"), batch))[:, 0] > 0) == women
    rows = [["true renders", percent(true.float().mean())]]
    blank = {**batch, "maps": torch.full_like(batch["maps"], 0.5)}
    mean = renderer.mean_control(batch["camera"], batch["expression"])
    mean = {**batch, "maps": torch.cat([batch["maps"][:, :6], mean], 1)}
    for name, given in {
        "own control": batch, "mean head's control": mean, "no control": blank,
    }.items():  # fmt: skip
        right = []
        for word in ("woman", "man"):
            images = sampler.reworded("texture", [f"a {word}"] * len(women), given, known=False)
            right.append((probe(faces(images, batch))[:, 0] > 0) == (word == "woman"))
        rows.append([name, percent(torch.cat(right).float().mean())])
    rows.append(["chance", percent(0.5)])
    note = (
        f'Albedo of {len(women)} held-out face views, "a woman" and "a man" for each, no '
        f"embedding; ridge probe on {known} true renders."
    )
    return Table("Gender", note, ["asked", "gender recognised"], rows)


def camera_table(
    sampler: Sampler, training: PriorDataset, held_out: PriorDataset, count: int
) -> Table:
    """Whether the head faces the camera that was asked for."""
    whole = training.camera[:, 2] < WHOLE_HEAD
    batch = training.__getitems__(drawn_rows(whole, PROBE_IMAGES))
    probe = yaw_probe(true_images(batch, "geometry"), batch["camera"][:, 0])
    batch = held_out.__getitems__(drawn_rows(held_out.camera[:, 2] < WHOLE_HEAD, count))
    asked = batch["camera"][:, 0]
    full = full_conditions(sampler.prior, held_out, batch)
    seen = {"true renders": true_images(batch, "geometry")}
    for name, variant in (("with control", "all"), ("without control", "no control")):
        seen[name] = sampler("geometry", varied(full, variant, held_out, batch))
    errors = {name: yaw_error(probed_yaw(probe, images), asked) for name, images in seen.items()}
    errors["chance (another sample's camera)"] = yaw_error(asked.roll(1), asked)
    rows = [
        [name, f"{e.mean():.1f}", f"{e.median():.1f}", percent((e < 30).float().mean())]
        for name, e in errors.items()
    ]
    note = f"Yaw of {len(asked)} whole heads from all around, by a ridge probe on true normals."
    return Table("Camera", note, ["", "mean error, degrees", "median", "within 30 degrees"], rows)


def frechet_table(
    sampler: Sampler, training: PriorDataset, held_out: PriorDataset, count: int
) -> Table:
    """Whether samples spread like true renders."""
    everything = torch.ones(len(held_out), dtype=torch.bool)
    rows_a = drawn_rows(everything, 2 * count)
    rows_a, rows_b = rows_a[: len(rows_a) // 2], rows_a[len(rows_a) // 2 :]
    batch, other = held_out.__getitems__(rows_a), held_out.__getitems__(rows_b)
    known = training.__getitems__(drawn_rows(torch.ones(len(training)) > 0, PROBE_IMAGES // 4))
    full = full_conditions(sampler.prior, held_out, batch)
    rows = []
    for domain in DOMAINS:
        mean, axes = principal_axes(pooled(true_images(known, domain), 8), FEATURES)

        def features(images, mean=mean, axes=axes):
            return (pooled(images, 8) - mean) @ axes

        b = features(true_images(other, domain))
        free = varied(full, "no control", held_out, batch)
        sets = (
            true_images(batch, domain),
            batch["maps"][:, 6:].split(3, 1)[DOMAINS.index(domain)],
            sampler(domain, full),
            sampler(domain, free),
        )
        rows.append([domain] + [f"{frechet(features(s), b):.2f}" for s in sets])
    return Table(
        "Fréchet distance",
        f"Of {len(rows_a)} images to {len(rows_b)} other held-out renders: {FEATURES} principal "
        "components of images averaged to 8 x 8.",
        ["domain", "true renders", "bare heads", "samples with control", "samples without"],
        rows,
    )
