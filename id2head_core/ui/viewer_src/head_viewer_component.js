// The viewer with everything around its canvas: see head_viewer.py for the template.
import { Comparison, compareButton } from "./compare.js";
import { showSheet } from "./contact_sheet.js";
import { icon, ICONS, make } from "./dom.js";
import { mountFilmStrip } from "./film_strip.js";
import { HeadViewer } from "./head_viewer.js";
import { listenToKeys } from "./keys.js";
import { Presenter, presenterButton } from "./presenter.js";
import { stage, tell } from "./stage.js";
import { fillTools, fillViews, keysPanel, tool } from "./toolbar.js";

const NO_WEBGL =
  "This browser shows no 3D graphics (WebGL 2 is off or missing). The head can still be made and downloaded.";
const UNSHOWN = "The head could not be shown here. Download it, or reload the page and try again.";

export function mountHeadViewer({ element, props, watch }) {
  stage.names = props.names;
  const find = (name) => element.querySelector(`.viewer-${name}`);
  const root = element.querySelector(".viewer"), note = find("note");
  const say = (text) => { note.textContent = text; note.hidden = !text; };
  const presenter = new Presenter(root);
  const comparison = new Comparison((url) => load(url));
  const fullScreen = () => toggleFullScreen(stage.presenting ? document.documentElement : root);

  const download = make("a.viewer-download", { id: "download", hidden: true, download: "" },
    icon(ICONS.download), make("span", {}, "Download .glb"));
  const help = tool("Keys", ICONS.keys, null, { id: "keys" });
  const sliders = tool("Sliders", ICONS.sliders, () => presenter.toggleSliders(), { id: "sliders" });
  fillViews(find("views"));
  fillTools(find("tools"), say);
  const keys = keysPanel(help);
  find("corner").append(sliders, help, tool("Full screen", ICONS.expand, fullScreen), presenterButton(presenter), keys);
  find("actions").append(compareButton(comparison), download);
  mountFilmStrip(find("strip"), props.names);
  listenToKeys(root, {
    present: () => presenter.enter(), leave: () => presenter.leave(), help: () => help.click(),
    toggleSliders: () => presenter.toggleSliders(), hold: (on) => comparison.hold(on), fullScreen,
  });

  const load = async (url) => {
    try {
      await stage.viewer.load(url);
      root.classList.add("has-head");
      stage.shownUrl = stage.viewer.url;
      say("");
      return true;
    } catch (error) {
      console.error(error);
      say(UNSHOWN);
      return false;
    }
  };
  let wanted = null;
  const show = async () => {
    const url = props.value?.url ?? null;
    if (!url || url === wanted) return;
    wanted = url;
    download.href = url;
    download.hidden = false;
    if (!stage.viewer) {
      if (await showSheet(find("sheet"), url)) say("");
      else say(NO_WEBGL);
    } else if ((await load(url)) && url === wanted) {
      stage.viewer.frame();
      comparison.arrive(url);
      tell("head");
    }
  };
  try {
    stage.viewer = new HeadViewer(find("canvas"), say);
    stage.viewer.setExpressions(stage.expressions);
    stage.viewer.setLight(stage.light);
  } catch (error) {
    console.warn(error);
    root.classList.add("no-webgl");
    say(NO_WEBGL);
  }
  // Without a GPU every frame of an animation costs the cores that make the head: see app.css.
  document.body.classList.toggle("software", !stage.viewer?.gpu);
  watch("value", show);
  show();
  presenter.startFromAddress();
}

function toggleFullScreen(element) {
  if (document.fullscreenElement) document.exitFullscreen();
  else element.requestFullscreen?.();
}
