// Light presets, a pad for a free direction, intensity.
import { make } from "./dom.js";
import { PRESETS } from "./lighting.js";
import { setLight } from "./stage.js";

const DEGREE = Math.PI / 180;
const EDGE = 170 * DEGREE; // angle from the viewer's axis at the pad's rim; 180 would be ambiguous

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
  const light = { preset: "front", ...pick(PRESETS.front), intensity: 1 };
  const pad = element.querySelector(".light-pad"), dot = element.querySelector(".light-dot");
  const strength = element.querySelector("#light-intensity");
  const buttons = Object.keys(PRESETS).map((preset) =>
    make("button.chip", { type: "button", role: "radio", "data-preset": preset,
      onclick: () => change({ preset, ...pick(PRESETS[preset]) }) }, preset[0].toUpperCase() + preset.slice(1)));
  const group = element.querySelector(".light-presets");
  group.append(...buttons);
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length];
    next.focus();
    next.click();
  });

  const paint = () => {
    const [x, y] = padPosition(light.azimuth, light.elevation);
    dot.style.left = `${50 + 50 * x}%`;
    dot.style.top = `${50 - 50 * y}%`;
    pad.style.setProperty("--lx", `${50 + 50 * x}%`);
    pad.style.setProperty("--ly", `${50 - 50 * y}%`);
    pad.setAttribute("aria-valuenow", Math.round(light.azimuth));
    pad.setAttribute("aria-valuetext",
      `${Math.round(light.azimuth)} degrees to the side, ${Math.round(light.elevation)} degrees up`);
    buttons.forEach((button, i) => {
      const on = button.dataset.preset === light.preset;
      button.classList.toggle("on", on);
      button.setAttribute("aria-checked", on);
      button.tabIndex = on || (!light.preset && i === 0) ? 0 : -1;
    });
    strength.style.setProperty("--fill", `${50 * light.intensity}%`);
    strength.setAttribute("aria-valuetext", `${Math.round(100 * light.intensity)} percent`);
  };
  const change = (fields) => {
    Object.assign(light, fields);
    paint();
    setLight({ ...light });
    props.value = { ...light };
  };
  const drag = (event) => {
    const box = pad.getBoundingClientRect();
    const x = (2 * (event.clientX - box.left)) / box.width - 1;
    const y = 1 - (2 * (event.clientY - box.top)) / box.height;
    change({ preset: null, ...padDirection(x, y) });
  };
  pad.addEventListener("pointerdown", (event) => { pad.setPointerCapture(event.pointerId); drag(event); });
  pad.addEventListener("pointermove", (event) => { if (pad.hasPointerCapture(event.pointerId)) drag(event); });
  pad.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-5, 0], ArrowRight: [5, 0], ArrowUp: [0, 5], ArrowDown: [0, -5] }[event.key];
    if (!step) return;
    event.preventDefault();
    const azimuth = ((light.azimuth + step[0] + 540) % 360) - 180;
    change({ preset: null, azimuth, elevation: Math.max(-85, Math.min(85, light.elevation + step[1])) });
  });
  strength.addEventListener("input", () => change({ intensity: Number(strength.value) }));
  paint();
}

const pick = ({ azimuth, elevation }) => ({ azimuth, elevation });
