// What the keys do: on the canvas in the page, everywhere while presenting.
import { savePicture } from "./capture.js";
import { togglePlaying } from "./play_all.js";
import { nudgeLight, setExpressions, setLight, setView, stage, tell, toggleExpression } from "./stage.js";
import { VIEWS } from "./views.js";

/** One key per expression, in the order of the expressions. */
export const EXPRESSION_KEYS = [..."1234567890qwe"];

/** Keys and what they do, for the help; "page" and "presenter" are where they differ. */
export const HELP = [
  { keys: ["1 … 0", "Q", "W", "E"], does: "the 13 expressions" },
  { keys: ["Space"], does: "play all" },
  { keys: ["R"], does: "reset face, view and light" },
  { keys: ["T"], does: "turntable" },
  { keys: ["V"], does: "shaded, albedo, normals, wireframe" },
  { keys: ["← → ↑ ↓"], does: "turn the head", presenter: "move the light" },
  { keys: ["Shift + ← → ↑ ↓"], does: "move the light", presenter: "turn the head" },
  { keys: ["+", "−", "Home"], does: "zoom, front view" },
  { keys: ["B"], does: "hold for the head before" },
  { keys: ["S"], does: "save a picture", presenter: "sliders on or off" },
  { keys: ["P"], does: "presenter mode", presenter: "leave (or Esc)" },
  { keys: ["F"], does: "full screen" },
];

const ARROWS = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, 10], ArrowDown: [0, -10] };
const ZOOM = { "+": 0.9, "=": 0.9, "-": 1 / 0.9 };

/** Everything back to how it was at first. */
export function resetAll() {
  setExpressions({});
  setLight({ preset: "front", intensity: 1, colour: "#ffffff" });
  setView("shaded");
  if (stage.viewer) stage.viewer.turning = false;
  stage.viewer?.resetView();
  tell("turning");
}

export function toggleTurning() {
  if (!stage.viewer?.head) return;
  stage.viewer.turning = !stage.viewer.turning;
  tell("turning");
}

/**
 * Listen to the keys. actions: { present, leave, toggleSliders, fullScreen, help, hold } of the
 * viewer's other parts.
 */
export function listenToKeys(viewerElement, actions) {
  const handle = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const name = event.key.toLowerCase(), presenting = stage.presenting;
    const step = ARROWS[event.key], expression = EXPRESSION_KEYS.indexOf(name);
    if (step) {
      if (presenting === event.shiftKey) stage.viewer?.orbit(...step);
      else nudgeLight(...step);
    } else if (ZOOM[event.key]) stage.viewer?.orbit(0, 0, ZOOM[event.key]);
    else if (expression >= 0) { if (!event.repeat) toggleExpression(stage.names[expression]); }
    else if (name === " ") togglePlaying();
    else if (name === "home") stage.viewer?.resetView();
    else if (name === "r") resetAll();
    else if (name === "t") toggleTurning();
    else if (name === "v") setView(VIEWS[(VIEWS.indexOf(stage.view) + 1) % VIEWS.length]);
    else if (name === "b") actions.hold(true);
    else if (name === "s") presenting ? actions.toggleSliders() : savePicture();
    else if (name === "p") presenting ? actions.leave() : actions.present();
    else if (name === "f") actions.fullScreen();
    else if (name === "?") actions.help();
    else if (name === "escape" && presenting) actions.leave();
    else return;
    event.preventDefault();
  };
  viewerElement.querySelector(".viewer-canvas").addEventListener("keydown", handle);
  document.addEventListener("keydown", (event) => {
    if (stage.presenting && viewerElement.isConnected && !needsKey(event)) handle(event);
  });
  document.addEventListener("keyup", (event) => { if (event.key.toLowerCase() === "b") actions.hold(false); });
}

/** Whether the focused control uses the key itself: a slider its arrows, a button the space bar. */
function needsKey({ target, key }) {
  if (target.closest?.("textarea, select, input:not([type=range])")) return key !== "Escape";
  if (target.matches?.("input[type=range]")) return key.startsWith("Arrow") || ["Home", "End"].includes(key);
  return Boolean(target.closest?.("button, a")) && [" ", "Enter"].includes(key);
}
