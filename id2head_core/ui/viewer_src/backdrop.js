// The studio behind the head: the gradient of the page's style sheet as a texture. The canvas is
// opaque because soft alpha edges of hair would otherwise let the page shine through the head.
import { CanvasTexture, LinearFilter, SRGBColorSpace } from "three";

const WIDTH = 256; // pixels; smooth enough for a gradient that is stretched over the canvas

/** A texture to hand to paintBackdrop. */
export function makeBackdrop() {
  const texture = new CanvasTexture(document.createElement("canvas"));
  texture.colorSpace = SRGBColorSpace; // also keeps tone mapping off
  texture.generateMipmaps = false;
  texture.minFilter = LinearFilter;
  return texture;
}

/** Paint the colours `--studio-centre` and `--studio-edge` of `host`, in its proportions. */
export function paintBackdrop(texture, host) {
  const width = WIDTH, height = Math.max(1, Math.round((WIDTH * host.clientHeight) / host.clientWidth));
  const canvas = texture.image;
  if (canvas.height !== height || canvas.width !== width) texture.dispose(); // its storage is fixed
  Object.assign(canvas, { width, height });
  const style = getComputedStyle(host), paint = canvas.getContext("2d");
  const x = width / 2, y = 0.4 * height;
  const glow = paint.createRadialGradient(x, y, 0, x, y, 0.8 * Math.hypot(x, height - y));
  glow.addColorStop(0, style.getPropertyValue("--studio-centre").trim() || "#fafbfc");
  glow.addColorStop(1, style.getPropertyValue("--studio-edge").trim() || "#c3ccd4");
  paint.fillStyle = glow;
  paint.fillRect(0, 0, width, height);
  texture.needsUpdate = true;
}
