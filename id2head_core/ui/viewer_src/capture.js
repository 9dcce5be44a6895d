// Pictures and a short video of the head, made and saved in the browser.
import { saveBlob } from "./dom.js";
import { stage } from "./stage.js";

const TALLEST = 1600; // pixels: a saved picture is drawn at least this tall
const SECONDS = 6; // length of the video: one turn
const FORMATS = ["video/mp4;codecs=avc1.640028", "video/mp4", "video/webm;codecs=vp9", "video/webm"];

export const NO_VIDEO = "This browser cannot record video. Save a picture instead, or use a recent Chrome, Edge, Firefox or Safari.";

/** Save what is on screen as a PNG, in more pixels than the screen has; a clear background is cut out. */
export function savePicture() {
  const viewer = stage.viewer;
  if (!viewer?.head) return;
  const pixelRatio = Math.max(viewer.renderer.getPixelRatio(), Math.min(3, TALLEST / viewer.host.clientHeight));
  const picture = stage.background === "clear" ? cutOut(viewer, pixelRatio) : viewer.snapshot({ pixelRatio });
  picture.toBlob((blob) => saveBlob(blob, "id2head.png"));
}

/**
 * The head without a background. What a pixel shows on black, b, and on white, w, tells its
 * coverage: alpha = 1 - (w - b). Alpha of the canvas itself would have holes at edges of hair.
 */
export function cutOut(viewer, pixelRatio) {
  const onWhite = viewer.snapshot({ pixelRatio, background: "#ffffff" });
  const onBlack = viewer.snapshot({ pixelRatio, background: "#000000" });
  const { width, height } = onBlack, paint = onBlack.getContext("2d");
  const white = onWhite.getContext("2d").getImageData(0, 0, width, height).data;
  const picture = paint.getImageData(0, 0, width, height), out = picture.data;
  for (let i = 0; i < out.length; i += 4) {
    const through = (white[i] - out[i] + white[i + 1] - out[i + 1] + white[i + 2] - out[i + 2]) / 3;
    const alpha = Math.min(255, Math.max(0, 255 - through));
    for (let c = i; alpha > 0 && c < i + 3; c++) out[c] = Math.min(255, (out[c] * 255) / alpha);
    out[i + 3] = alpha;
  }
  paint.putImageData(picture, 0, 0);
  return onBlack;
}

/** The video format that this browser can record, or null. */
export function videoFormat() {
  if (!window.MediaRecorder || !HTMLCanvasElement.prototype.captureStream) return null;
  return FORMATS.find((format) => MediaRecorder.isTypeSupported(format)) ?? null;
}

/**
 * Turn the head once and save the video. `onProgress(part)` tells how far it is, null at the end.
 * Returns a function that stops early without saving, or null where recording is impossible.
 */
export function recordTurn(onProgress, onFail) {
  const viewer = stage.viewer, format = videoFormat();
  if (!viewer?.head) return null;
  if (!format) return onFail(NO_VIDEO), null;
  const parts = [], turning = viewer.turning, { controls } = viewer.portraitCamera;
  const recorder = new MediaRecorder(viewer.canvas.captureStream(30), { mimeType: format, videoBitsPerSecond: 8e6 });
  let start = null, turned = 0, kept = true;
  const stop = (keep) => {
    if (recorder.state === "inactive") return;
    kept = keep;
    recorder.stop();
  };
  const step = (now) => {
    if (recorder.state === "inactive") return;
    start ??= now;
    const part = Math.min(1, (now - start) / (1000 * SECONDS));
    viewer.orbit(-360 * part - turned, 0);
    turned = -360 * part;
    onProgress(part);
    if (part < 1) requestAnimationFrame(step);
    else setTimeout(() => stop(true), 100); // the last frame has to reach the recorder
  };
  const hidden = () => { if (document.hidden) { stop(false); onFail("The recording stopped because the page was hidden."); } };
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.onerror = () => { stop(false); onFail("The recording failed. Try again."); };
  recorder.onstop = () => {
    recorder.stream.getTracks().forEach((track) => track.stop());
    document.removeEventListener("visibilitychange", hidden);
    viewer.orbit(-turned, 0);
    controls.enabled = true;
    viewer.quality.locked = false;
    viewer.turning = turning;
    onProgress(null);
    if (kept) saveBlob(new Blob(parts, { type: format }), format.includes("mp4") ? "id2head.mp4" : "id2head.webm");
  };
  document.addEventListener("visibilitychange", hidden);
  controls.enabled = viewer.turning = false;
  viewer.quality.locked = true;
  recorder.start();
  requestAnimationFrame(step);
  return () => stop(false);
}
