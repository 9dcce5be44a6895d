// Tiny helpers to build elements.

/** `make("button.big", {type: "button"}, "Text", child)` -> HTMLElement. */
export function make(selector, attributes = {}, ...children) {
  const [tag, ...classes] = selector.split(".");
  const element = document.createElement(tag || "div");
  element.classList.add(...classes);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** An inline icon from the path data of a 24 x 24 outline. */
export function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

/**
 * Fill `group` with buttons of which one is chosen, as the keyboard knows it from radio buttons.
 * options: [{ value, label, children, style }]; `field` names the buttons' data attribute; `pick(value)` is
 * called on a choice. Returns mark(value), which shows the choice (null: none).
 */
export function radioGroup(group, field, options, pick, button = "button.chip") {
  group.setAttribute("role", "radiogroup");
  const buttons = options.map(({ value, label, children = [label], style }) =>
    make(button, { type: "button", role: "radio", [`data-${field}`]: value, title: label,
      "aria-label": label, style, onclick: () => pick(value) }, ...children));
  group.append(...buttons);
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const at = buttons.indexOf(event.target);
    if (!step || at < 0) return;
    event.preventDefault();
    event.stopPropagation();
    const next = buttons[(at + step + buttons.length) % buttons.length];
    next.focus();
    next.click();
  });
  return (chosen) => {
    const any = options.some(({ value }) => value === chosen);
    options.forEach(({ value }, i) => {
      buttons[i].classList.toggle("on", value === chosen);
      buttons[i].setAttribute("aria-checked", value === chosen);
      buttons[i].tabIndex = value === chosen || (!any && i === 0) ? 0 : -1;
    });
  };
}

/** Let the browser save a blob under a name. */
export function saveBlob(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** Whether the visitor asked their system for less motion. */
export const reducedMotion = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

export const ICONS = {
  backdrop: "M4 5h16v14H4zM4 15l16-8M9 19l11-5.5",
  camera: "M4 8h3l2-3h6l2 3h3v11H4zM12 16.500a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z",
  close: "M6 6l12 12M18 6L6 18",
  compare: "M12 3v18M9 6H4v12h5M15 6h5v12h-5",
  download: "M12 4v11m0 0l-4.5-4.500M12 15l4.5-4.500M5 20h14",
  expand: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  face: "M12 21c-4.4 0-7-3.6-7-8.500C5 7 8 3.5 12 3.500s7 3.5 7 9c0 4.9-2.6 8.5-7 8.500zM9 11.500v.5M15 11.500v.5M9.5 16c1.5 1.2 3.5 1.2 5 0",
  film: "M4 7h10v10H4zM14 11l6-3.500v9L14 13",
  home: "M4 12a8 8 0 1 0 2.5-5.800M4 4v4.500h4.5",
  keys: "M3 7h18v10H3zM7 10.500h.01M10.5 10.500h.01M14 10.500h.01M17.5 10.500h.01M8 14h8",
  picture: "M4 5h16v14H4zM4 16l4.5-4.5 4 4 2.5-2.5 5 4.500M15.5 9.500v.01",
  play: "M8 5.500l10.5 6.500L8 18.500z",
  present: "M3 4h18M5 4v11h14V4M12 15v5M9 20h6",
  sliders: "M4 8h9M17 8h3M4 16h3M11 16h9M15 6v4M9 14v4",
  stop: "M7 7h10v10H7z",
  turn: "M20 12c0 2.2-3.6 4-8 4s-8-1.8-8-4 3.6-4 8-4c2.7 0 5.1.7 6.5 1.700M19 6.500v3.500h-3.5",
  views: {
    shaded: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16M12 4c4 4 4 12 0 16",
    albedo: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16",
    normals: "M5 19l14-14M19 5h-6M19 5v6M5 19V9M5 19h10",
    wireframe: "M12 4l8 14H4zM8 11h8M12 18l-4-7M12 18l4-7",
  },
};
