// Shows how far a run is: stages, one line of text, seconds left, and the newest previews.
import { make } from "./dom.js";
import { setField, stage } from "./stage.js";

const STRIP = 5; // previews kept on screen

export function mountRunStatus({ element, props, watch }) {
  const root = element.querySelector(".run");
  const find = (name) => root.querySelector(`.run-${name}`);
  const stages = find("stages"), bar = find("bar"), fill = bar.firstElementChild;
  const message = find("message"), left = find("left"), strip = find("strip"), error = find("error");
  for (const { name, title } of props.stages) stages.append(make("li", { "data-stage": name }, title));
  let run = null, stopped = null, deadline = null, newest = "";

  const paintLeft = () => {
    if (deadline === null) { left.textContent = ""; return; }
    const seconds = Math.max(0, Math.round((deadline - performance.now()) / 1000));
    left.textContent = seconds > 0 ? `about ${seconds} s left` : "almost there";
  };
  setInterval(() => { if (deadline !== null) paintLeft(); }, 1000);

  const paint = () => {
    const value = props.value ?? { state: "idle" };
    if (value.run && value.run === stopped) return; // was under way when the visitor cancelled
    if (!value.run && run) stopped = run;
    const begins = value.run !== run && root.dataset.state !== value.state;
    root.dataset.state = value.state;
    stage.editing = Boolean(value.edit);
    setField("running", value.state === "running" || value.state === "waiting");
    if (value.run !== run) { run = value.run; newest = ""; strip.replaceChildren(); }
    message.textContent = value.message ?? "";
    error.textContent = value.error ?? "";
    error.hidden = !value.error;
    const current = props.stages.findIndex(({ name }) => name === value.stage);
    [...stages.children].forEach((item, i) => {
      item.classList.toggle("past", value.state === "done" || i < current);
      item.classList.toggle("now", value.state === "running" && i === current);
      item.toggleAttribute("aria-current", value.state === "running" && i === current);
    });
    const part = value.total ? value.step / value.total : 0;
    const done = value.state === "done" ? 1 : (Math.max(0, current) + part) / props.stages.length;
    fill.style.width = `${100 * done}%`;
    bar.setAttribute("aria-valuenow", Math.round(100 * done));
    bar.classList.toggle("waiting", value.state === "waiting");
    deadline = value.state === "running" && value.seconds_left != null ? performance.now() + 1000 * value.seconds_left : null;
    paintLeft();
    if (stage.running && begins) root.scrollIntoView({ block: "nearest" }); // it may be far from the button
    if (value.image && value.image !== newest) {
      newest = value.image;
      strip.prepend(make("img", { src: value.image, alt: `Preview: ${value.message || value.stage}` }));
      while (strip.children.length > STRIP) strip.lastChild.remove();
    }
  };
  // Whoever leaves during a run, by reload or the back button, loses what was made so far.
  window.addEventListener("beforeunload", (event) => { if (stage.running && root.isConnected) event.preventDefault(); });
  watch("value", paint);
  paint();
}
