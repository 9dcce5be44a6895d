// "Play all": one expression after another, then neutral again. Any other change of pose stops it.
import { listen, setExpressions, setField, stage } from "./stage.js";

const HOLD = 1250; // ms from one expression to the next, the glide included

let timer = 0;

/** Start the show, or stop it where it is. */
export function togglePlaying() {
  if (stage.playing) return setField("playing", false);
  setField("playing", true);
  show(0);
}

function show(index) {
  if (!stage.playing) return;
  const name = stage.names[index];
  setExpressions(name ? { [name]: 1 } : {}, { player: true });
  if (name) timer = setTimeout(() => show(index + 1), HOLD);
  else setField("playing", false);
}

listen("playing", () => clearTimeout(timer));
