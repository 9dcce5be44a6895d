// 13 sliders, combinations, reset. Everything happens in the browser.
import { make } from "./dom.js";
import { setExpression, setExpressions, stage } from "./stage.js";

export const slug = (name) => name.toLowerCase().replaceAll(" ", "-");

export function mountExpressionPanel({ element, props }) {
  const names = props.names, rows = new Map();
  const paint = (name, weight) => {
    const { input, output } = rows.get(name);
    input.value = weight;
    input.style.setProperty("--fill", `${100 * weight}%`);
    input.setAttribute("aria-valuetext", `${Math.round(100 * weight)} percent`);
    output.textContent = Math.round(100 * weight);
    output.classList.toggle("zero", !weight);
  };
  const remember = () => { props.value = { ...stage.expressions }; };

  const list = element.querySelector(".expression-list");
  for (const name of names) {
    const id = `expression-${slug(name)}`;
    const input = make("input", { type: "range", id, min: 0, max: 1, step: 0.01, value: 0 });
    const output = make("output", { for: id });
    input.addEventListener("input", () => {
      paint(name, Number(input.value));
      setExpression(name, Number(input.value));
    });
    input.addEventListener("change", remember);
    list.append(make("div.expression-row", {}, make("label", { for: id }, name), input, output));
    rows.set(name, { input, output });
    paint(name, 0);
    stage.expressions[name] = 0;
  }
  const setAll = (weights) => {
    const all = Object.fromEntries(names.map((name) => [name, weights[name] ?? 0]));
    names.forEach((name) => paint(name, all[name]));
    setExpressions(all);
    remember();
  };
  const chips = element.querySelector(".expression-chips");
  for (const [title, weights] of Object.entries(props.combinations)) {
    chips.append(make("button.chip", { type: "button", onclick: () => setAll(weights) }, title));
  }
  element.querySelector(".expression-reset").addEventListener("click", () => setAll({}));
}
