"""Light presets, free direction and intensity."""

from .client_component import ClientComponent

PRESETS = ("front", "right", "back", "left", "direct", "diffuse")
"""Names of the presets; what they look like is defined in ``viewer_src/lighting.js``."""

TEMPLATE = """
<section class="card light">
  <header><h2>Light</h2></header>
  <div class="light-presets" role="radiogroup" aria-label="Light preset"></div>
  <div class="light-free">
    <div class="light-pad" tabindex="0" role="slider"
      aria-label="Light direction, arrow keys or drag" aria-valuemin="-180" aria-valuemax="180"
      aria-valuenow="0"><div class="light-dot"></div></div>
    <div class="light-side">
      <p>Drag the light around the head. Centre: from the front. Rim: from behind.</p>
      <label for="light-intensity">Intensity</label>
      <input type="range" id="light-intensity" min="0" max="2" step="0.01" value="1">
    </div>
  </div>
</section>
"""


class LightPicker(ClientComponent):
    """Value: ``{"preset", "azimuth", "elevation", "intensity"}``, degrees; stays in the browser."""

    def __init__(self, **kwargs):
        super().__init__(None, TEMPLATE, {}, **kwargs)
