"""The 13 expression sliders."""

from ..expressions import EXPRESSIONS
from .client_component import ClientComponent

COMBINATIONS: dict[str, dict[str, float]] = {
    "Happy": {"Grin": 0.85, "Brow Raised": 0.2},
    "Surprised": {"Brow Raised": 1.0, "Mouth Stretch": 0.45},
    "Sad": {"Lips Down": 0.9, "Brow Raised": 0.25},
    "Furious": {"Angry": 1.0, "Nose Down": 0.4},
}
"""One-click mixtures: weights by expression, the others become 0."""

TEMPLATE = """
<section class="card expressions">
  <header><h2>Expression</h2><button type="button" class="expression-reset">Reset</button></header>
  <div class="expression-chips"></div>
  <div class="expression-list"></div>
</section>
"""


class ExpressionPanel(ClientComponent):
    """One slider from 0 to 1 per expression; its value is ``{expression: weight}``."""

    def __init__(self, **kwargs):
        props = {"names": list(EXPRESSIONS), "combinations": COMBINATIONS}
        super().__init__({}, TEMPLATE, props, **kwargs)

    def preprocess(self, payload: object) -> dict[str, float]:
        """Weights of all expressions, each clamped to [0, 1]; what is missing or odd becomes 0."""
        given = payload if isinstance(payload, dict) else {}
        return {name: _unit(given.get(name)) for name in EXPRESSIONS}


def _unit(value: object) -> float:
    """Clamp a number to [0, 1]; 0 for anything else (NaN too)."""
    if not isinstance(value, int | float) or value != value:
        return 0.0
    return float(min(max(value, 0.0), 1.0))
