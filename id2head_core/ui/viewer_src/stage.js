// What the page's components share: the pose, the light and the look that the visitor chose, and
// the viewer that shows them. Sliders may move before the viewer exists; it then starts from this.
import { PRESETS } from "./lighting.js";

const { azimuth, elevation } = PRESETS.front;

export const stage = {
  names: [], // the 13 expressions in order
  expressions: {}, // weight in [0, 1] by name
  light: { preset: "front", azimuth, elevation, intensity: 1, colour: "#ffffff", softness: 0.35 },
  view: "shaded", // or "albedo", "normals", "wireframe"
  background: "studio", // or "white", "dark", "clear"
  running: false, // a head is being made
  editing: false, // the newest run changes a head with words; any other begins with another head
  playing: false, // "play all" is on
  presenting: false,
  viewer: null, // HeadViewer once it has started
  shownUrl: null, // the .glb on screen
};

const listeners = new Map();

/** Call `hear()` after each change of a topic: a field of `stage`, or "head" for a new head. */
export function listen(topic, hear) {
  listeners.set(topic, [...(listeners.get(topic) ?? []), hear]);
}

/** Tell the listeners of a topic that it has changed. */
export function tell(topic) {
  for (const hear of listeners.get(topic) ?? []) hear();
}

/** Set a plain field and tell its listeners, if it is a change. */
export function setField(field, value) {
  if (stage[field] === value) return;
  stage[field] = value;
  tell(field);
}

/** Set one expression weight in [0, 1]. */
export function setExpression(name, weight) {
  setField("playing", false);
  stage.expressions[name] = weight;
  stage.viewer?.setExpressions(stage.expressions);
  tell("expressions");
}

/**
 * Set all weights, those not named to 0; glides there unless the visitor prefers reduced motion.
 * `player` is true for "play all" itself, which every other change stops.
 */
export function setExpressions(weights, { player = false } = {}) {
  if (!player) setField("playing", false);
  for (const name of stage.names) stage.expressions[name] = weights[name] ?? 0;
  stage.viewer?.setExpressions(stage.expressions, { glide: player ? 450 : 260 });
  tell("expressions");
}

/** The expression that is on alone, or null. */
export function soleExpression() {
  const on = stage.names.filter((name) => stage.expressions[name] > 0);
  return on.length === 1 && stage.expressions[on[0]] >= 0.5 ? on[0] : null;
}

/** Show one expression alone at full weight, or neutral if it is what is shown. */
export function toggleExpression(name) {
  setExpressions(soleExpression() === name && !stage.playing ? {} : { [name]: 1 });
}

/** Change fields of the light; a direction without a preset is the free light. */
export function setLight(light) {
  const preset = light.preset && PRESETS[light.preset];
  const from = preset ? { azimuth: preset.azimuth, elevation: preset.elevation } : {};
  stage.light = { ...stage.light, ...light, ...from };
  stage.viewer?.setLight(stage.light);
  tell("light");
}

/** Move the light by degrees to the right and up. */
export function nudgeLight(right, up) {
  const { azimuth, elevation } = stage.light;
  setLight({
    preset: null,
    azimuth: ((azimuth + right + 540) % 360) - 180,
    elevation: Math.max(-85, Math.min(85, elevation + up)),
  });
}

/** Show the head as "shaded", "albedo", "normals" or "wireframe". */
export function setView(view) {
  setField("view", view);
  stage.viewer?.setView(view);
}

/** Put a "studio", "white", "dark" or "clear" background behind the head. */
export function setBackground(background) {
  setField("background", background);
  stage.viewer?.setBackground(background);
}

window.id2head = stage; // for tests and for the browser's console
