// Presenter mode: the viewer fills the window, with big sliders and pictures. `?present` in the
// page's address starts it, `?present=<example>` with that example's head.
import { icon, ICONS, make } from "./dom.js";
import { listen, setField, stage } from "./stage.js";

const HINT = [["1–0 Q W E", "faces"], ["← → ↑ ↓", "light"], ["Space", "play all"], ["T", "turntable"], ["R", "reset"], ["S", "sliders"], ["Esc", "leave"]];
const GRACE = 2500; // ms that a head which the page opens by itself may take
const PATIENCE = 60_000; // ms to wait for the page's example buttons

export class Presenter {
  /** `element` is the whole viewer. */
  constructor(element) {
    this.element = element;
    const stageElement = element.querySelector(".viewer-stage");
    this.caption = make("p.presenter-caption", { role: "status" });
    this.picks = make("div.presenter-picks", { role: "group", "aria-label": "Choose a head" });
    stageElement.append(this.caption, this.picks, hint());
    document.addEventListener("click", (event) => {
      // Space and Enter shall mean the same after a click on a button as before.
      if (stage.presenting && event.detail && event.target.closest?.("button")) this.focusCanvas();
    });
    for (const topic of ["expressions", "caption"]) listen(topic, () => this.#paint());
    listen("head", () => this.#offer());
  }

  /** Start if the address asks for it. */
  startFromAddress() {
    const wanted = new URLSearchParams(location.search).get("present");
    if (wanted === null) return;
    this.enter(GRACE);
    if (wanted) this.#open(wanted);
  }

  /** Cover the page; without a head offer some after `grace` ms. */
  enter(grace = 0) {
    if (stage.presenting) return;
    this.scrolled = window.scrollY;
    document.body.classList.add("presenting");
    setField("presenting", true);
    address(true);
    setTimeout(() => this.#offer(), grace);
    this.#paint();
    this.focusCanvas();
  }

  leave() {
    if (!stage.presenting) return;
    document.body.classList.remove("presenting");
    setField("presenting", false);
    address(false);
    if (document.fullscreenElement) document.exitFullscreen();
    window.scrollTo(0, this.scrolled);
    this.focusCanvas();
  }

  toggleSliders() {
    const hidden = document.body.classList.toggle("presenting-bare");
    setField("bare", hidden);
  }

  focusCanvas() { stage.viewer?.canvas.focus({ preventScroll: true }); }

  #paint() {
    const names = stage.names.filter((name) => stage.expressions[name] >= 0.2);
    const text = stage.caption || (names.length <= 2 ? names.join(" + ") : "");
    if (this.caption.textContent !== text) this.caption.textContent = text;
  }

  /** While there is no head: the page's own examples, to open by a click or the keyboard. */
  #offer() {
    this.picks.replaceChildren();
    if (!stage.presenting || stage.viewer?.head) return;
    const examples = [...document.querySelectorAll("[data-example]")];
    const buttons = examples.map((example) => make("button.presenter-pick", {
      type: "button", "aria-label": example.getAttribute("aria-label"), onclick: () => this.#open(example.dataset.example),
    }, make("img", { src: example.querySelector("img")?.src, alt: "" })));
    if (!buttons.length) return;
    this.picks.append(make("p", {}, "Choose a head to present"), make("div", {}, ...buttons));
    buttons[0].focus({ preventScroll: true });
  }

  /** Open an example as a click on the page's own button does; start it where it needs a start. */
  async #open(name) {
    const example = await appears(`[data-example="${CSS.escape(name)}"]`);
    if (!example) return this.#offer();
    this.picks.replaceChildren(make("p", { role: "status" }, make("span.spinner"), "Opening the head…"));
    example.click();
    const start = await appears("#generate:not([disabled])");
    if (start && !stage.viewer?.head && !stage.running) start.click();
  }
}

/** The first element that matches, as soon as there is one and a moment has passed; null if none comes. */
async function appears(selector) {
  const end = performance.now() + PATIENCE;
  do {
    await new Promise((resolve) => setTimeout(resolve, 600));
    const found = document.querySelector(selector);
    if (found || stage.viewer?.head) return found;
  } while (performance.now() < end);
  return null;
}

function address(presenting) {
  const url = new URL(location.href);
  if (presenting === url.searchParams.has("present")) return;
  if (presenting) url.searchParams.set("present", "");
  else url.searchParams.delete("present");
  history.replaceState(history.state, "", url);
}

const hint = () => make("p.presenter-hint", {},
  ...HINT.map(([keys, does]) => make("span", {}, make("kbd", {}, keys), ` ${does}`)));

/** The button that starts or leaves presenter mode. */
export function presenterButton(presenter) {
  const button = make("button.viewer-tool.tool-present", { type: "button", id: "present",
    onclick: () => (stage.presenting ? presenter.leave() : presenter.enter()) });
  const paint = () => {
    const label = stage.presenting ? "Leave presenter mode" : "Presenter mode";
    button.title = label;
    button.setAttribute("aria-label", label);
    button.replaceChildren(icon(stage.presenting ? ICONS.close : ICONS.present));
  };
  listen("presenting", paint);
  paint();
  return button;
}
