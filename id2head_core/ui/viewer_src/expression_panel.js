// 13 sliders, combinations, reset. Everything happens in the browser.
import { make } from "./dom.js";
import { listen, setExpression, setExpressions, stage } from "./stage.js";

export const slug = (name) => name.toLowerCase().replaceAll(" ", "-");

export function mountExpressionPanel({ element, props }) {
  const names = (stage.names = props.names), rows = new Map();
  const list = element.querySelector(".expression-list");
  for (const name of names) {
    const id = `expression-${slug(name)}`;
    const input = make("input", { type: "range", id, min: 0, max: 1, step: 0.01, value: 0 });
    const output = make("output", { for: id });
    input.addEventListener("input", () => setExpression(name, Number(input.value)));
    list.append(make("div.expression-row", {}, make("label", { for: id }, name), input, output));
    rows.set(name, { input, output });
    stage.expressions[name] ??= 0;
  }
  const paint = () => {
    for (const [name, { input, output }] of rows) {
      const weight = stage.expressions[name], percent = Math.round(100 * weight);
      if (Number(input.value) !== weight) input.value = weight;
      input.style.setProperty("--fill", `${percent}%`);
      input.setAttribute("aria-valuetext", `${percent} percent`);
      output.textContent = percent;
      output.classList.toggle("zero", !weight);
    }
  };
  let timer = 0; // Gradio compares its values on each change: tell it once a drag pauses
  listen("expressions", () => {
    paint();
    clearTimeout(timer);
    timer = setTimeout(() => { props.value = { ...stage.expressions }; }, 150);
  });
  const chips = element.querySelector(".expression-chips");
  for (const [title, weights] of Object.entries(props.combinations)) {
    chips.append(make("button.chip", { type: "button", onclick: () => setExpressions(weights) }, title));
  }
  element.querySelector(".expression-reset").addEventListener("click", () => setExpressions({}));
  paint();
}
