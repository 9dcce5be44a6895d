// Light presets, a pad for a free direction, colour, intensity and softness of the shadow.
import { make, radioGroup } from "./dom.js";
import { PRESETS } from "./lighting.js";
import { listen, nudgeLight, setLight, stage } from "./stage.js";

const DEGREE = Math.PI / 180;
const EDGE = 170 * DEGREE; // angle from the viewer's axis at the pad's rim; 180 would be ambiguous

const COLOURS = {
  White: "#ffffff", Warm: "#ffd9ae", Cool: "#bfd9ff", Rose: "#ffc1d1", Teal: "#b4efe2",
};

/** Degrees -> position on the pad, each in [-1, 1], y up. The centre is light from the viewer. */
export function padPosition(azimuth, elevation) {
  const a = azimuth * DEGREE, e = elevation * DEGREE;
  const x = Math.sin(a) * Math.cos(e), y = Math.sin(e), z = Math.cos(a) * Math.cos(e);
  const side = Math.hypot(x, y);
  if (side < 1e-6) return z > 0 ? [0, 0] : [0, 1];
  const r = Math.min(1, Math.acos(Math.max(-1, Math.min(1, z))) / EDGE);
  return [(r * x) / side, (r * y) / side];
}

/** Position on the pad -> { azimuth, elevation } in degrees; the inverse of padPosition. */
export function padDirection(x, y) {
  const r = Math.hypot(x, y);
  if (r < 1e-6) return { azimuth: 0, elevation: 0 };
  const angle = Math.min(1, r) * EDGE, s = Math.sin(angle) / r;
  return {
    azimuth: Math.atan2(s * x, Math.cos(angle)) / DEGREE,
    elevation: Math.asin(Math.max(-1, Math.min(1, s * y))) / DEGREE,
  };
}

export function mountLightPicker({ element, props }) {
  const find = (selector) => element.querySelector(selector);
  const pad = find(".light-pad"), dot = find(".light-dot");
  const strength = find("#light-intensity"), softness = find("#light-softness");
  const title = (preset) => preset[0].toUpperCase() + preset.slice(1);
  const markPreset = radioGroup(find(".light-presets"), "preset",
    Object.keys(PRESETS).map((preset) => ({ value: preset, label: title(preset) })),
    (preset) => setLight({ preset }));
  const markColour = radioGroup(find(".light-colours"), "colour",
    Object.entries(COLOURS).map(([label, colour]) =>
      ({ value: colour, label: `${label} light`, children: [], style: `--swatch:${colour}` })),
    (colour) => setLight({ colour }), "button.swatch");
  const own = make("input.swatch", { type: "color", title: "Own colour", "aria-label": "Own colour of the light", value: "#ffd27a" });
  own.addEventListener("input", () => setLight({ colour: own.value }));
  find(".light-colours").append(own);

  const paint = () => {
    const light = stage.light;
    const [x, y] = padPosition(light.azimuth, light.elevation);
    dot.style.left = `${50 + 50 * x}%`;
    dot.style.top = `${50 - 50 * y}%`;
    pad.style.setProperty("--lx", `${50 + 50 * x}%`);
    pad.style.setProperty("--ly", `${50 - 50 * y}%`);
    pad.style.setProperty("--lamp", light.colour);
    pad.setAttribute("aria-valuenow", Math.round(light.azimuth));
    pad.setAttribute("aria-valuetext",
      `${Math.round(light.azimuth)} degrees to the side, ${Math.round(light.elevation)} degrees up`);
    markPreset(light.preset);
    markColour(light.colour);
    own.classList.toggle("on", !Object.values(COLOURS).includes(light.colour));
    strength.value = light.intensity;
    strength.style.setProperty("--fill", `${50 * light.intensity}%`);
    strength.setAttribute("aria-valuetext", `${Math.round(100 * light.intensity)} percent`);
    softness.value = light.softness;
    softness.style.setProperty("--fill", `${100 * light.softness}%`);
    softness.setAttribute("aria-valuetext", `${Math.round(100 * light.softness)} percent`);
    props.value = { ...light };
  };
  const drag = (event) => {
    const box = pad.getBoundingClientRect();
    const x = (2 * (event.clientX - box.left)) / box.width - 1;
    const y = 1 - (2 * (event.clientY - box.top)) / box.height;
    setLight({ preset: null, ...padDirection(x, y) });
  };
  pad.addEventListener("pointerdown", (event) => { pad.setPointerCapture(event.pointerId); drag(event); });
  pad.addEventListener("pointermove", (event) => { if (pad.hasPointerCapture(event.pointerId)) drag(event); });
  pad.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-5, 0], ArrowRight: [5, 0], ArrowUp: [0, 5], ArrowDown: [0, -5] }[event.key];
    if (!step) return;
    event.preventDefault();
    nudgeLight(...step);
  });
  strength.addEventListener("input", () => setLight({ intensity: Number(strength.value) }));
  softness.addEventListener("input", () => setLight({ softness: Number(softness.value) }));
  listen("light", paint);
  paint();
}
