// The 13 expressions as pictures of the head itself; a click shows one, another click neutral.
import { icon, ICONS, make } from "./dom.js";
import { EXPRESSION_KEYS } from "./keys.js";
import { togglePlaying } from "./play_all.js";
import { listen, soleExpression, stage, toggleExpression } from "./stage.js";

const SIZE = 160; // pixels of a picture's side
const QUIET = 700; // ms without a frame before a picture is made

export function mountFilmStrip(strip, names) {
  const play = make("button.strip-play", { type: "button", id: "play-all", "aria-keyshortcuts": "Space", onclick: togglePlaying });
  const tiles = names.map((name, i) => make("button.tile", {
    type: "button", title: name, "data-expression": name, "aria-pressed": "false", "aria-keyshortcuts": EXPRESSION_KEYS[i],
    onclick: () => toggleExpression(name),
  }, make("span.tile-picture", {}, icon(ICONS.face), make("kbd", { "aria-hidden": "true" }, EXPRESSION_KEYS[i].toUpperCase())), make("span.tile-name", {}, name)));
  const list = make("div.strip-tiles", { role: "group", "aria-label": "Expressions" }, ...tiles);
  strip.append(play, list);

  const paintPlay = () => {
    play.replaceChildren(icon(stage.playing ? ICONS.stop : ICONS.play), make("span", {}, stage.playing ? "Stop" : "Play all"));
    play.setAttribute("aria-pressed", stage.playing);
  };
  const paint = () => {
    const chosen = soleExpression();
    for (const tile of tiles) {
      const on = tile.dataset.expression === chosen;
      tile.classList.toggle("on", on);
      tile.setAttribute("aria-pressed", on);
      if (on) reveal(list, tile);
    }
  };
  listen("playing", paintPlay);
  listen("expressions", paint);
  listen("head", () => {
    if (!stage.editing) tiles.forEach(forget); // pictures of another person, maybe
    photograph(names, tiles);
  });
  listen("running", () => photograph(names, tiles));
  paintPlay();
}

/** A face without features in place of the picture. */
function forget(tile) {
  tile.querySelector(".tile-face")?.replaceWith(icon(ICONS.face));
}

/** Scroll the strip, and nothing else, until the tile is in sight. */
function reveal(list, tile) {
  const left = tile.offsetLeft - list.offsetLeft, right = left + tile.offsetWidth;
  if (left < list.scrollLeft) list.scrollLeft = left - 8;
  else if (right > list.scrollLeft + list.clientWidth) list.scrollLeft = right - list.clientWidth + 8;
}

const idle = window.requestIdleCallback ?? ((call) => setTimeout(call, 50));
let session = 0;

/** Make the pictures of the head on screen, one per idle moment; only of a head that is finished. */
function photograph(names, tiles) {
  const mine = ++session;
  let at = 0, frames = -1;
  const step = () => {
    const viewer = stage.viewer;
    if (mine !== session || !viewer?.head || viewer.disposed || stage.running) return;
    const quiet = frames === viewer.frames && !viewer.pending && !viewer.lost && !document.hidden;
    frames = viewer.frames;
    if (!quiet || stage.view !== "shaded") return void setTimeout(() => idle(step), QUIET);
    const picture = viewer.portrait({ [names[at]]: 1 }, SIZE, { preset: "front", intensity: 1, colour: "#ffffff" });
    picture.className = "tile-face";
    tiles[at].querySelector(".tile-face, .icon").replaceWith(picture);
    at++;
    if (at < tiles.length) idle(step);
    else tiles[0].closest(".viewer-strip").dataset.pictures = stage.shownUrl;
  };
  setTimeout(() => idle(step), QUIET);
}
