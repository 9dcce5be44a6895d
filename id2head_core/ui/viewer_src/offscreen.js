// Draws a small picture beside the canvas, with the canvas's own shaders, tone and colours.
import { SRGBColorSpace, WebGLRenderTarget } from "three";

/** What `camera` sees as a square canvas of `size` pixels. */
export function drawOffscreen(renderer, scene, camera, size) {
  // three tone-maps and encodes only what goes to the screen or to a headset, and this is neither;
  // an sRGB texture would encode once more.
  const target = new WebGLRenderTarget(size, size, { colorSpace: SRGBColorSpace, internalFormat: "RGBA8", samples: 4 });
  target.isXRRenderTarget = true;
  const pixels = new Uint8Array(4 * size * size);
  renderer.setRenderTarget(target);
  renderer.render(scene, camera);
  renderer.readRenderTargetPixels(target, 0, 0, size, size, pixels);
  renderer.setRenderTarget(null);
  target.dispose();
  const picture = Object.assign(document.createElement("canvas"), { width: size, height: size });
  const paint = picture.getContext("2d"), row = 4 * size, data = new ImageData(size, size);
  for (let y = 0; y < size; y++) data.data.set(pixels.subarray(y * row, (y + 1) * row), (size - 1 - y) * row);
  for (let i = 3; i < data.data.length; i += 4) data.data[i] = 255;
  paint.putImageData(data, 0, 0);
  return picture;
}
