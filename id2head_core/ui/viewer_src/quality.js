// How many pixels the viewer draws. A machine that is too slow for all of them draws fewer at first
// and all once the picture stands still: rarely a GPU, always software rendering.

const SLOW = 60, FAST = 22; // ms of a frame: above, fewer pixels; below, more
const LEAST = 0.5; // pixels of the canvas per CSS pixel
const STEP = 0.8;
const SUPERSAMPLED = 1.4; // software draws still pictures so, in place of multisampling

const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/**
 * A canvas, its opaque context (three's own always has an alpha channel, into which soft hair edges
 * would write holes), and whether a GPU draws it.
 */
export function openContext() {
  const first = contextOf(true);
  const info = first.context.getExtension("WEBGL_debug_renderer_info");
  const name = first.context.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : first.context.RENDERER);
  if (!SOFTWARE.test(name)) return { ...first, gpu: true };
  first.context.getExtension("WEBGL_lose_context")?.loseContext();
  return { ...contextOf(false), gpu: false };
}

function contextOf(antialias) {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("webgl2", { alpha: false, antialias });
  if (!context) throw new Error("WebGL 2 is not available");
  return { canvas, context };
}

export class Quality {
  constructor(gpu) {
    this.still = gpu ? Math.min(window.devicePixelRatio || 1, 2) : SUPERSAMPLED;
    this.moving = gpu ? this.still : 0.75;
    this.locked = false; // no change of size, as while a video is recorded
  }

  /** Learn from a frame of a movement that took so many milliseconds. */
  learn(ms) {
    if (ms > SLOW) this.moving = Math.max(LEAST, this.moving * STEP);
    else if (ms < FAST) this.moving = Math.min(this.still, this.moving / STEP);
  }

  /** Pixels per CSS pixel of the next frame, which another may follow. */
  ratio() { return this.locked ? this.still : this.moving; }
}
