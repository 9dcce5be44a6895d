// The buttons around the canvas, and the two panels that open from them.
import { NO_VIDEO, recordTurn, savePicture, videoFormat } from "./capture.js";
import { icon, ICONS, make, radioGroup } from "./dom.js";
import { HELP, toggleTurning } from "./keys.js";
import { listen, setBackground, setView, stage } from "./stage.js";
import { VIEWS } from "./views.js";

const BACKGROUNDS = { studio: "Studio", white: "White", dark: "Dark", clear: "None (cut out in pictures)" };

/** A square button with an icon. */
export function tool(label, path, onclick, attributes = {}) {
  return make("button.viewer-tool", { type: "button", title: label, "aria-label": label, onclick, ...attributes }, icon(path));
}

/** Shaded, albedo, normals, wireframe. */
export function fillViews(group) {
  const title = (view) => view[0].toUpperCase() + view.slice(1);
  const mark = radioGroup(group, "view",
    VIEWS.map((view) => ({ value: view, label: title(view), children: [icon(ICONS.views[view]), make("span", {}, title(view))] })),
    setView, "button.viewer-view");
  listen("view", () => mark(stage.view));
  mark(stage.view);
}

/** Front view, turntable, background, picture, video. */
export function fillTools(tools, say) {
  const turn = tool("Turntable", ICONS.turn, toggleTurning, { id: "turntable", "aria-pressed": "false" });
  listen("turning", () => {
    turn.classList.toggle("on", stage.viewer.turning);
    turn.setAttribute("aria-pressed", stage.viewer.turning);
  });
  const backgrounds = make("div.viewer-panel.viewer-backgrounds", { hidden: true, "aria-label": "Background" });
  const mark = radioGroup(backgrounds, "background",
    Object.entries(BACKGROUNDS).map(([value, label]) => ({ value, label, children: [make("i"), make("span", {}, label)] })),
    setBackground, "button.viewer-background");
  listen("background", () => mark(stage.background));
  mark(stage.background);
  const backdrop = tool("Background", ICONS.backdrop, null, { id: "background" });
  opens(backdrop, backgrounds);
  tools.append(
    tool("Front view", ICONS.home, () => stage.viewer?.resetView()), turn, backdrop,
    tool("Save a picture", ICONS.picture, savePicture, { id: "save-picture" }), videoButton(say), backgrounds,
  );
}

function videoButton(say) {
  const label = "Save a video of one turn";
  let stop = null;
  const button = tool(label, ICONS.film, () => {
    if (stop) return stop();
    say("");
    stop = recordTurn((part) => {
      button.classList.toggle("recording", part !== null);
      button.style.setProperty("--part", part ?? 0);
      button.title = part === null ? label : "Stop the recording";
      button.setAttribute("aria-label", button.title);
      if (part === null) stop = null;
    }, say);
  }, { id: "save-video" });
  if (!videoFormat()) button.title = NO_VIDEO;
  return button;
}

/** The list of keys; `button` opens it. */
export function keysPanel(button) {
  const row = ({ keys, does, presenter }) => make("tr", {},
    make("th", { scope: "row" }, ...keys.flatMap((key, i) => [i ? " " : "", make("kbd", {}, key)])),
    make("td", {}, presenter ? make("span.in-page", {}, does) : does, presenter ? make("span.in-presenter", {}, presenter) : ""));
  const panel = make("div.viewer-panel.viewer-keys", { hidden: true, role: "dialog", "aria-label": "Keys" },
    make("h3", {}, "Keys"), make("p.in-page", {}, "They work while the head has the focus, and everywhere in presenter mode."),
    make("table", {}, make("tbody", {}, ...HELP.map(row))));
  opens(button, panel);
  return panel;
}

/** Let `button` open and close `panel`; Escape and a click elsewhere close it too. */
function opens(button, panel) {
  const set = (open) => {
    panel.hidden = !open;
    button.setAttribute("aria-expanded", open);
    button.classList.toggle("on", open);
  };
  set(false);
  button.addEventListener("click", () => {
    set(panel.hidden);
    if (!panel.hidden) panel.querySelector("[tabindex='0']")?.focus();
  });
  document.addEventListener("pointerdown", (event) => {
    if (!panel.hidden && !panel.contains(event.target) && !button.contains(event.target)) set(false);
  });
  document.addEventListener("keydown", (event) => {
    if (panel.hidden || event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    set(false);
    button.focus();
  }, true);
}
