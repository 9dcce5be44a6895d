"""Light presets, free direction, colour, intensity and softness of the shadow."""

from .client_component import ClientComponent

PRESETS = ("front", "right", "back", "left", "direct", "diffuse")
"""Names of the presets; what they look like is defined in ``viewer_src/lighting.js``."""

TEMPLATE = """
<section class="card light">
  <header><h2>Light</h2></header>
  <div class="light-presets" aria-label="Light preset"></div>
  <div class="light-free">
    <div class="light-pad" tabindex="0" role="slider"
      aria-label="Light direction, arrow keys or drag" aria-valuemin="-180" aria-valuemax="180"
      aria-valuenow="0" title="Centre: light from the front. Rim: from behind."><div
      class="light-dot"></div></div>
    <div class="light-side">
      <label for="light-intensity">Intensity</label>
      <input type="range" id="light-intensity" min="0" max="2" step="0.01" value="1">
      <label for="light-softness">Soft shadow</label>
      <input type="range" id="light-softness" min="0" max="1" step="0.01" value="0.35">
    </div>
  </div>
  <div class="light-colours" aria-label="Colour of the light"></div>
</section>
"""


class LightPicker(ClientComponent):
    """Value: ``{"preset", "azimuth", "elevation", "intensity", "colour", "softness"}``.

    Degrees; it stays in the browser.
    """

    def __init__(self, **kwargs):
        super().__init__(None, TEMPLATE, {}, **kwargs)
