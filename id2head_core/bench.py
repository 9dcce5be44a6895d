"""Timings of the CPU path: ``python -m id2head_core.bench [GROUP ...]``.

Prints medians of several warm runs, the spread between the quartiles, and what a slow twin takes.
Groups: ``render`` and ``geometry`` on a synthetic bust, ``guidance`` (one step of score
distillation by parts) on the mean head, ``pipeline`` on an example photo, ``queue`` eight visitors
of the app at once, ``page`` the app in a browser.
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from .camera import orbit_camera
from .structures import HeadAppearance, HeadGeometry, HeadPart, Identity, Material, Photo

REPEATS = 11
"""Timed runs per line, after one that is not timed."""

PIPELINE_REPEATS = 5
"""Heads that are made from the example photo."""

DETAIL = 96
"""Rows of the synthetic bust: 2 (DETAIL - 1) 4/3 DETAIL, about 24,000 triangles."""


def main(arguments: list[str] | None = None) -> None:
    """Run the chosen groups of benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m id2head_core.bench", description=__doc__)
    parser.add_argument("groups", nargs="*", help=f"any of {', '.join(GROUPS)} (default: all)")
    chosen = parser.parse_args(arguments).groups or list(GROUPS)
    if unknown := [name for name in chosen if name not in GROUPS]:
        parser.error(f"unknown group '{unknown[0]}', use any of {', '.join(GROUPS)}")
    for name in chosen:
        _say(f"\n{name} (median of {REPEATS}, quartiles)")
        GROUPS[name]()


def bench_render() -> None:
    """Rasterizer against its twin, and finished pictures."""
    from .render.cpu_rasterizer import CpuRasterizer
    from .render.head_renderer import HeadRenderer
    from .render.reference_rasterizer import ReferenceRasterizer
    from .render.visibility import visible_faces

    geometry, appearance = synthetic_head()
    part, camera = geometry.parts[0], orbit_camera(20, 10)
    clip = torch.from_numpy(camera.clip_positions(part.vertices))
    faces = torch.from_numpy(part.faces)
    cpu = CpuRasterizer()
    _say(f"{len(faces)} triangles")
    started = time.perf_counter()
    visible_faces(clip.numpy(), part.faces, 256, 256)
    _say(f"{'first call (compiles or loads the cache)':44s} {time.perf_counter() - started:9.2f} s")
    for size in (128, 256, 512, 1024):
        _report(f"visibility {size}²", lambda s=size: visible_faces(clip.numpy(), part.faces, s, s))
    for size in (128, 256, 512):
        _report(
            f"rasterize, interpolate, antialias {size}²", _drawing(cpu, clip, faces, size, False)
        )
        _report(f"  the same with gradients {size}²", _drawing(cpu, clip, faces, size, True))
    small = _sphere(8)
    clip_small = torch.from_numpy(camera.clip_positions(small.vertices))
    pair = [
        _report(f"{name} backend, {len(small.faces)} triangles, 32²", work, repeats)
        for name, work, repeats in (
            ("CPU", _drawing(cpu, clip_small, torch.from_numpy(small.faces), 32, False), REPEATS),
            (
                "reference",
                _drawing(
                    ReferenceRasterizer(), clip_small, torch.from_numpy(small.faces), 32, False
                ),
                1,
            ),
        )
    ]
    _say(f"{'ratio':44s} {pair[1] / pair[0]:9.0f} x")
    renderer = HeadRenderer()
    for size in (256, 512):
        for supersample in (1, 2):
            _report(
                f"finished picture {size}², {supersample} x {supersample} samples",
                lambda s=size, n=supersample: renderer.render(
                    geometry, appearance, camera, (s, s), supersample=n
                ),
            )


def bench_geometry() -> None:
    """The tetrahedral grid and what is extracted from it."""
    from .geometry.tet_grid import TetGrid
    from .render.normals import vertex_normals, vertex_normals_torch

    part = synthetic_head()[0].parts[0]
    surface = part.vertices, part.faces, part.weld
    _report("TetGrid.from_surface", lambda: TetGrid.from_surface(*surface), 3)
    grid = TetGrid.from_surface(*surface)
    _say(
        f"{len(grid.tetrahedra)} tetrahedra, {grid.inverted_share():.2%} inverted, columns "
        f"{np.abs(grid.extract_columns(grid.initial_sdf()) - part.vertices).max():.1e} m off"
    )
    sdf = torch.from_numpy(grid.initial_sdf()).requires_grad_()
    columns = _report("extract_columns", lambda: grid.extract_columns(sdf))
    marching = _report("extract (marching tetrahedra)", lambda: grid.extract(sdf))
    _say(f"{'ratio':44s} {marching / columns:9.1f} x")
    _report("  with gradients", lambda: grid.extract(sdf).vertices.square().sum().backward())
    _report("vertex normals, numpy", lambda: vertex_normals(*surface))
    tensors = [torch.from_numpy(np.asarray(a)) for a in surface]
    _report("vertex normals, torch", lambda: vertex_normals_torch(*tensors))


def bench_guidance() -> None:
    """One step of score distillation of the geometry by parts: render, network, backward."""
    from .expressions import EXPRESSIONS
    from .geometry.fit import GeometryFitConfig
    from .geometry.head_model import HeadModel
    from .geometry.objective import GeometryObjective
    from .guidance.inputs import Guidance
    from .guidance.prior_camera import prior_camera
    from .guidance.score_distillation import sds_gradient
    from .pipeline import HeadPipeline

    stages = HeadPipeline().distillation
    template, prior = stages.template, stages.prior
    nobody = Identity(Photo(np.zeros((1, 1, 3), np.uint8)), None, None, None)
    fit, hair = stages.pure_start(nobody, None)
    generator = torch.Generator().manual_seed(0)
    everywhere = np.ones(len(fit.neutral), np.float32)
    nowhere = np.zeros(len(stages.hair_template.uv), np.float32)
    model = HeadModel(
        template, stages.hair_template, fit, hair, skin_free=everywhere, hair_known=nowhere,
        skin_cap=0.015, generator=generator,
    )  # fmt: skip
    guidance = Guidance(
        prior, "a young woman with long hair", torch.ones(512) / 512**0.5, stages.control
    )
    config = GeometryFitConfig()
    objective = GeometryObjective(model, guidance, 0 * everywhere, None, config)
    neutral, camera = torch.zeros(fit.neutral.shape), prior_camera(30.0)
    size = prior.resolution
    _report("mesh of an expression", lambda: model.mesh(neutral))
    mesh = model.mesh(neutral)
    _report(f"normals {size}², one view", lambda: objective.renderer(mesh, camera, size))

    def control_maps(camera) -> np.ndarray:  # bare and folded, as of an expression
        return stages.control(fit.neutral, camera, fit.neutral, fit.neutral.copy())

    _report(f"control maps {size}², one view", lambda: control_maps(camera))
    cameras = torch.tensor([[30.0, 0, 1], [150.0, 0, 1]])
    control = np.stack([control_maps(prior_camera(yaw)) for yaw in (30.0, 150.0)])
    conditions = prior.conditions(
        [guidance.prompt] * 2, cameras, embedding=guidance.embedding,
        expressions=torch.zeros(2, len(EXPRESSIONS)), control=torch.from_numpy(control),
    )  # fmt: skip
    image, timestep = torch.full((2, 3, size, size), 0.5), torch.tensor([600, 600])

    def network() -> None:
        sds_gradient(
            prior, "geometry", image, conditions, timestep,
            guidance_scale=config.guidance_scale, rescale=config.rescale, generator=generator,
        )  # fmt: skip

    _report("network, 2 views with guidance", network)

    def step(backward: bool) -> None:
        loss, _ = objective.distillation(0.3, generator)
        loss = loss + sum(objective.terms().values())
        if backward:
            loss.backward()

    forward = _report("step without backward", lambda: step(False))
    whole = _report("step", lambda: step(True))
    _say(f"{'backward':44s} {1e3 * (whole - forward):9.2f} ms")


def bench_pipeline() -> None:
    """Photo to first and to finished head, stage by stage, and the peak memory."""
    import resource
    import tempfile
    from pathlib import Path

    from . import weights
    from .pipeline import HeadPipeline

    started = time.perf_counter()
    pipeline = HeadPipeline()
    pipeline.warm_up()
    _say(f"{'load and warm up':44s} {time.perf_counter() - started:9.2f} s")
    photo = weights.path("examples/person_3.jpg")
    rows: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="id2head-") as folder:
        for _ in range(PIPELINE_REPEATS):
            started, first = time.perf_counter(), None
            for event in pipeline.stream(photo, output_dir=Path(folder)):
                if event.asset is not None and first is None:
                    first = time.perf_counter() - started
            total = time.perf_counter() - started
            stages = event.asset.metadata["seconds"]
            for name, value in {**stages, "first head": first, "finished head": total}.items():
                rows.setdefault(name, []).append(value)
    for name, values in rows.items():
        _say(f"{name:44s} {np.median(values):9.2f} s    {min(values):.2f} ... {max(values):.2f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    _say(f"{'peak memory of the process':44s} {peak:9.2f} GB")


def bench_visitors() -> None:
    """Eight visitors of the app at once, with the preset that stops after the photo fit."""
    from .bench_queue import bench_queue

    bench_queue(_say)


def bench_browser() -> None:
    """The page in a browser: weight, waits, frames."""
    from .bench_page import bench_page

    bench_page(_say)


def synthetic_head() -> tuple[HeadGeometry, HeadAppearance]:
    """A lumpy ball of about 24,000 triangles with a 1024² texture and glossy eyes."""
    skin = _sphere(DETAIL)
    lumps = 1 + 0.05 * np.sin(70 * skin.vertices).prod(1, keepdims=True)
    skin.vertices[:] = skin.vertices * lumps
    generator = np.random.default_rng(0)
    albedo = generator.uniform(0.2, 0.6, (1024, 1024, 3)).astype(np.float32)
    return HeadGeometry((skin,)), HeadAppearance({"skin": Material(albedo)})


def _sphere(rows: int) -> HeadPart:
    """A ball of radius 0.11 m with a seam at the back."""
    columns = rows * 4 // 3
    v, u = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns + 1), indexing="ij")
    polar, turn = np.pi * (0.001 + 0.998 * v), 2 * np.pi * u + np.pi
    vertices = 0.11 * np.stack(
        [np.sin(polar) * np.sin(turn), np.cos(polar), np.sin(polar) * np.cos(turn)], -1
    )
    number = np.arange(rows * (columns + 1)).reshape(rows, columns + 1)
    a, b, c, d = number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).reshape(-1, 3)
    weld = number.copy()
    weld[:, -1] = weld[:, 0]
    flat = vertices.reshape(-1, 3).astype(np.float32)
    return HeadPart(
        "skin",
        flat,
        faces.astype(np.int32),
        np.stack([u, v], -1).reshape(-1, 2).astype(np.float32),
        weld.reshape(-1).astype(np.int32),
        np.zeros((13, *flat.shape), np.float32),
    )


def _drawing(rasterizer, clip, faces, size: int, gradients: bool) -> Callable[[], None]:
    """One differentiable image of the vertex positions, with its backward pass if wanted."""
    positions = clip.clone().requires_grad_(gradients)

    def work() -> None:
        fragments = rasterizer.rasterize(positions, faces, size, size)
        image = rasterizer.interpolate(clip[:, :3], faces, fragments)
        smooth = rasterizer.antialias(image, fragments, positions, faces)
        if gradients:
            smooth.square().sum().backward()

    return work


def _report(label: str, work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Time ``work`` and print a line; returns the median in seconds."""
    if repeats > 1:
        work()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    low, median, high = np.percentile(seconds, (25, 50, 75)) * 1e3
    _say(f"{label:44s} {median:9.2f} ms   {low:.2f} ... {high:.2f}")
    return median / 1e3


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


GROUPS: dict[str, Callable[[], None]] = {
    "render": bench_render,
    "geometry": bench_geometry,
    "guidance": bench_guidance,
    "pipeline": bench_pipeline,
    "queue": bench_visitors,
    "page": bench_browser,
}
"""Benchmarks by name."""


if __name__ == "__main__":
    main()
