// "Before / after" of an edit: the head on screen and the one before it, camera, pose and light kept.
// While a head is being made its previews count as one: the one before is what was there when it began.
import { icon, ICONS, make } from "./dom.js";
import { listen, setField, stage, tell } from "./stage.js";

const LATE = 1000; // ms after a run's end in which its last head may still arrive

/** The urls of the last two heads, and which of them is shown. */
export class Comparison {
  /** `show(url)` puts a head on screen. */
  constructor(show) {
    this.show = show;
    this.before = this.after = null;
    this.settled = null; // the last url that was final
    this.open = false; // the newest head may still be replaced by the same run
    listen("running", () => this.#ran());
  }

  #ran() {
    clearTimeout(this.timer);
    if (stage.running) {
      if (!this.open) this.settled = this.after;
      this.open = true;
    } else {
      this.timer = setTimeout(() => { this.open = false; this.settled = this.after; }, LATE);
    }
  }

  /** A new head has arrived. */
  arrive(url) {
    const last = this.open ? this.settled : this.after;
    if (!stage.editing) this.before = null; // another person, maybe
    else if (last && last !== url) this.before = last;
    this.after = url;
    stage.viewer?.retain(this.pair);
    tell("comparison");
  }

  get pair() { return [this.before, this.after].filter(Boolean); }

  get possible() { return this.pair.length === 2; }

  /** Show the earlier head while `on`. */
  hold(on) {
    if (!this.possible || this.holding === on) return;
    this.holding = on;
    this.show(on ? this.before : this.after);
    tell("comparison");
  }
}

/** The button: held by mouse, finger or key; also pressed and released by a screen reader's click. */
export function compareButton(comparison) {
  const label = make("span", {}, "Hold for before");
  const button = make("button.viewer-compare", { type: "button", id: "compare", hidden: true, "aria-pressed": "false" }, icon(ICONS.compare), label);
  const hold = (on) => comparison.hold(on);
  button.addEventListener("pointerdown", (event) => { button.setPointerCapture(event.pointerId); hold(true); });
  for (const type of ["pointerup", "pointercancel", "blur"]) button.addEventListener(type, () => hold(false));
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  button.addEventListener("keydown", (event) => {
    if (event.key === " " || event.key === "Enter") { event.preventDefault(); event.stopPropagation(); hold(true); }
  });
  button.addEventListener("keyup", (event) => { if (event.key === " " || event.key === "Enter") { event.preventDefault(); hold(false); } });
  button.addEventListener("click", (event) => { if (!event.detail && !event.isTrusted) hold(!comparison.holding); });
  listen("comparison", () => {
    button.hidden = !comparison.possible;
    button.setAttribute("aria-pressed", Boolean(comparison.holding));
    button.classList.toggle("on", Boolean(comparison.holding));
    label.textContent = comparison.holding ? "Before" : "Hold for before";
    setField("caption", comparison.holding ? "Before" : "");
  });
  return button;
}
