// The viewer with its toolbar, its empty state and its messages.
import { icon, ICONS, make } from "./dom.js";
import { HeadViewer } from "./head_viewer.js";
import { stage } from "./stage.js";

const NO_WEBGL =
  "This browser shows no 3D graphics (WebGL 2 is off or missing). The head can still be made and downloaded.";

export function mountHeadViewer({ element, props, watch }) {
  const host = element.querySelector(".viewer-canvas");
  const note = element.querySelector(".viewer-note");
  const tools = element.querySelector(".viewer-tools");
  const say = (text) => { note.textContent = text; note.hidden = !text; };

  const download = make("a.viewer-download", { id: "download", hidden: true, download: "" }, icon(ICONS.download), "Download .glb");
  const tool = (label, path, onclick) =>
    make("button.viewer-tool", { type: "button", title: label, "aria-label": label, onclick }, icon(path));
  tools.append(
    tool("Front view", ICONS.home, () => stage.viewer?.resetView()),
    tool("Save a picture", ICONS.picture, () => savePicture(stage.viewer)),
    tool("Full screen", ICONS.expand, () => toggleFullScreen(element.querySelector(".viewer"))),
  );
  element.querySelector(".viewer").append(download);

  let shown = null;
  const show = async () => {
    const url = props.value?.url ?? null;
    if (!url || url === shown) return;
    shown = url;
    download.href = url;
    download.hidden = false;
    if (!stage.viewer) return;
    try {
      await stage.viewer.load(url);
      element.querySelector(".viewer").classList.add("has-head");
      stage.shownUrl = url;
      say("");
    } catch (error) {
      console.error(error);
      say("The head could not be shown here. Download it, or reload the page and try again.");
    }
  };
  try {
    stage.viewer = new HeadViewer(host, say);
    stage.viewer.setExpressions(stage.expressions);
    stage.viewer.setLight(stage.light);
  } catch (error) {
    console.warn(error);
    element.querySelector(".viewer").classList.add("no-webgl");
    say(NO_WEBGL);
  }
  watch("value", show);
  show();
}

function savePicture(viewer) {
  viewer?.snapshot().toBlob((blob) => {
    const url = URL.createObjectURL(blob);
    make("a", { href: url, download: "id2head.png" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  });
}

function toggleFullScreen(element) {
  if (document.fullscreenElement) document.exitFullscreen();
  else element.requestFullscreen?.();
}
