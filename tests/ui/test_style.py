"""Colours of the page: WCAG AA contrast (4.5) of every pair that carries text, light and dark."""

import re

import pytest

from id2head_core.ui.client_component import STATIC

STYLE = (STATIC / "app.css").read_text("utf-8")
PAIRS = [
    ("ink", "paper"), ("ink", "soft"), ("ink", "accent-soft"), ("muted", "paper"),
    ("muted", "soft"), ("accent", "paper"), ("on-accent", "accent"), ("danger", "danger-soft"),
]  # fmt: skip
"""Text and what is behind it."""


def colours(selector: str) -> dict[str, str]:
    """The colour variables that the style sheet's first block of a selector sets."""
    block = STYLE[STYLE.index(f"\n{selector} {{") :]
    return dict(re.findall(r"--([\w-]+): #(\w{6});", block[: block.index("}")]))


def luminance(colour: str) -> float:
    """Relative luminance of a hexadecimal sRGB colour (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [":root", ".dark"])
@pytest.mark.parametrize(("text", "behind"), PAIRS)
def test_text_can_be_read(theme, text, behind):
    chosen = colours(theme)
    low, high = sorted(luminance(chosen[name]) for name in (text, behind))
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_gradio_cannot_take_rules_apart():
    # Gradio rewrites rules inside @media and drops @container: both must be nested.
    for line in STYLE.splitlines():
        assert not re.match(r"@(media|container)", line), line
