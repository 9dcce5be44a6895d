// What is behind the head, as a texture: by default the studio gradient of the page's style sheet.
// The canvas is opaque because soft alpha edges of hair would otherwise let the page shine through.
import { CanvasTexture, LinearFilter, SRGBColorSpace } from "three";

const WIDTH = 256; // pixels; smooth enough for a gradient that is stretched over the canvas
const SQUARE = 8; // pixels of the chequerboard that stands for "nothing"
const GRADIENTS = {
  white: () => ["#ffffff", "#ffffff"],
  dark: () => ["#39434c", "#0b0f12"],
  studio: (style) => [
    style.getPropertyValue("--studio-centre").trim() || "#fafbfc",
    style.getPropertyValue("--studio-edge").trim() || "#c3ccd4",
  ],
};

/** A texture to hand to paintBackdrop. */
export function makeBackdrop() {
  const texture = new CanvasTexture(document.createElement("canvas"));
  texture.colorSpace = SRGBColorSpace; // also keeps tone mapping off
  texture.generateMipmaps = false;
  texture.minFilter = LinearFilter;
  return texture;
}

/** Paint the background `kind` ("studio", "white", "dark", "clear") in the proportions of `host`. */
export function paintBackdrop(texture, host, kind) {
  const width = WIDTH, height = Math.max(1, Math.round((WIDTH * host.clientHeight) / host.clientWidth));
  const canvas = texture.image;
  if (canvas.height !== height || canvas.width !== width) texture.dispose(); // its storage is fixed
  Object.assign(canvas, { width, height });
  const paint = canvas.getContext("2d");
  if (kind === "clear") chequer(paint, width, height);
  else glow(paint, width, height, GRADIENTS[kind](getComputedStyle(host)));
  texture.needsUpdate = true;
}

function glow(paint, width, height, [centre, edge]) {
  const x = width / 2, y = 0.4 * height;
  const gradient = paint.createRadialGradient(x, y, 0, x, y, 0.8 * Math.hypot(x, height - y));
  gradient.addColorStop(0, centre);
  gradient.addColorStop(1, edge);
  paint.fillStyle = gradient;
  paint.fillRect(0, 0, width, height);
}

function chequer(paint, width, height) {
  paint.fillStyle = "#f4f6f8";
  paint.fillRect(0, 0, width, height);
  paint.fillStyle = "#dde3e8";
  for (let y = 0; y < height; y += SQUARE) {
    for (let x = (y / SQUARE) % 2 ? SQUARE : 0; x < width; x += 2 * SQUARE) paint.fillRect(x, y, SQUARE, SQUARE);
  }
}
