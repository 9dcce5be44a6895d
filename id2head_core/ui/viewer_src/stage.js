// What the page's components share: the pose and the light that the visitor chose, and the viewer
// that shows them. Sliders may move before the viewer exists; it then starts from this state.

/** Weights by expression name, the light, and the viewer once it has started. */
export const stage = { expressions: {}, light: { preset: "front" }, viewer: null };

/** Set one expression weight in [0, 1]. */
export function setExpression(name, weight) {
  stage.expressions[name] = weight;
  stage.viewer?.setExpressions(stage.expressions);
}

/** Set several weights; glides there unless the visitor prefers reduced motion. */
export function setExpressions(weights) {
  Object.assign(stage.expressions, weights);
  stage.viewer?.setExpressions(stage.expressions, { glide: true });
}

/** Change fields of the light: preset, azimuth, elevation (degrees), intensity. */
export function setLight(light) {
  stage.light = { ...stage.light, ...light };
  stage.viewer?.setLight(stage.light);
}

window.id2head = stage; // for tests and for the browser's console
