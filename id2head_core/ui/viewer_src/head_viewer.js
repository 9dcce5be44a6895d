// The 3D view of one head. It draws only when something changed; nothing here talks to the server
// but `load`, which fetches a .glb once.
import { Color, MathUtils, PCFShadowMap, Scene, SRGBColorSpace, WebGLRenderer } from "three";
import { GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";

import { makeBackdrop, paintBackdrop } from "./backdrop.js";
import { reducedMotion } from "./dom.js";
import { mirrored, softboxEnvironment, StudioLight } from "./lighting.js";
import { disposeMeshes, dressMesh } from "./materials.js";
import { Quality, openContext } from "./quality.js";
import { faceCamera, measure, PortraitCamera } from "./portrait_camera.js";
import { drawOffscreen } from "./offscreen.js";
import { skinToneMapping } from "./tone_mapping.js";
import { showAs } from "./views.js";

const PAUSE = 250; // ms without a new frame after which a movement is over

export class HeadViewer {
  /** `host` is an element with a size and a CSS background; `onMessage(text)` tells of trouble. */
  constructor(host, onMessage = () => {}) {
    this.host = host;
    this.onMessage = onMessage;
    this.frames = 0;
    this.weights = {};
    this.view = "shaded";
    this.background = "studio";
    this.heads = new Map(); // url -> { root, meshes, box, face, sphere }, see `retain`
    this.loads = 0;
    this.listeners = new AbortController();
    const { canvas, context, gpu } = openContext();
    this.quality = new Quality(gpu);
    const renderer = (this.renderer = new WebGLRenderer({ canvas, context }));
    renderer.outputColorSpace = SRGBColorSpace;
    renderer.toneMapping = skinToneMapping();
    renderer.shadowMap.enabled = true;
    renderer.shadowMap.type = PCFShadowMap;
    renderer.setPixelRatio(this.quality.still);
    this.canvas = canvas;
    this.gpu = gpu;
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("aria-label", "3D head. Arrow keys turn it, plus and minus zoom, question mark lists all keys.");
    host.prepend(this.canvas);
    this.scene = new Scene();
    this.backdrop = this.scene.background = makeBackdrop();
    this.environment = gpu ? softboxEnvironment(renderer) : null; // takes software seconds
    this.light = new StudioLight(this.scene);
    this.portraitCamera = new PortraitCamera(this.canvas, () => this.invalidate());
    this.#listen();
    this.resizing = new ResizeObserver(() => this.resize());
    this.theme = new MutationObserver(() => this.repaint());
    this.theme.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    this.resizing.observe(host);
    this.resize();
  }

  get camera() { return this.portraitCamera.camera; }

  /** The scene graph of the head on screen, or null. */
  get root() { return this.head?.root ?? null; }

  get turning() { return this.portraitCamera.turning; }

  set turning(on) { this.portraitCamera.turning = on; }

  #listen() {
    const on = (type, handler) => this.canvas.addEventListener(type, handler, { signal: this.listeners.signal });
    on("webglcontextlost", (event) => {
      event.preventDefault();
      this.lost = true;
      this.onMessage("The graphics driver stopped the 3D view. It restarts by itself in a moment.");
    });
    on("webglcontextrestored", () => {
      this.lost = false;
      this.#renewEnvironment();
      this.light.key.shadow.needsUpdate = true;
      this.onMessage("");
      this.invalidate();
    });
    on("dblclick", () => this.resetView());
  }

  /** What eyes mirror, after the GPU has forgotten it. */
  #renewEnvironment() {
    if (!this.environment) return;
    this.environment = softboxEnvironment(this.renderer);
    for (const { meshes } of this.heads.values()) {
      for (const { userData: { shaded } } of meshes) if (shaded.envMap) shaded.envMap = this.#mirrored;
    }
  }

  /** The texture that shiny parts mirror, or null. */
  get #mirrored() { return this.environment?.texture ?? null; }

  /** Move the camera around the head by degrees, and its distance by a factor. */
  orbit(yaw, pitch, factor = 1) { this.portraitCamera.orbit(yaw, pitch, factor); }

  /** Put the camera back in front of the head. */
  resetView() { if (this.head) this.portraitCamera.face(this.head.box); }

  /** The same for a head of another height, unless the visitor has chosen the view. */
  frame() { if (!this.portraitCamera.suits(this.head.box)) this.resetView(); }

  resize() {
    if (!this.host.isConnected) return this.dispose();
    const width = this.host.clientWidth, height = this.host.clientHeight;
    if (!width || !height) return;
    this.renderer.setSize(width, height, false);
    this.portraitCamera.setSize(width, height);
    if (!this.portraitCamera.touched) this.resetView();
    this.repaint();
  }

  /** The backdrop anew: the size or the theme of the page has changed. */
  repaint() {
    if (!this.host.clientWidth || !this.host.clientHeight) return;
    paintBackdrop(this.backdrop, this.host, this.background);
    this.invalidate();
  }

  setBackground(background) {
    this.background = background;
    this.repaint();
  }

  /** Ask for one frame. */
  invalidate() {
    if (this.pending || this.lost || this.disposed) return;
    const moving = performance.now() - (this.drawnAt ?? -Infinity) < PAUSE;
    this.pending = requestAnimationFrame((now) => {
      this.pending = 0;
      this.#frame(now, moving);
    });
  }

  #frame(now, moving) {
    if (!this.host.isConnected) return this.dispose();
    const passed = moving ? now - this.frameAt : 0;
    if (moving) this.quality.learn(passed);
    this.frameAt = now;
    this.drawnAt = performance.now(); // now: what asks for the next frame comes below
    if (this.glide) this.#advanceGlide(now);
    this.portraitCamera.update(passed / 1000);
    const ratio = this.quality.ratio();
    if (ratio !== this.renderer.getPixelRatio()) this.renderer.setPixelRatio(ratio);
    this.draw();
    clearTimeout(this.sharpening);
    if (ratio !== this.quality.still) this.sharpening = setTimeout(() => this.#sharpen(), PAUSE);
  }

  /** The movement is over: once more in all pixels. */
  #sharpen() {
    if (this.pending || this.lost || this.disposed) return;
    this.renderer.setPixelRatio(this.quality.still);
    this.draw();
  }

  draw() {
    this.renderer.render(this.scene, this.camera);
    this.frames++;
  }

  /** Show the .glb at `url` in place of the current head; camera, pose and light stay. */
  async load(url) {
    const ticket = ++this.loads;
    if (!this.heads.has(url)) this.heads.set(url, await this.#fetch(url));
    if (ticket !== this.loads || this.disposed) return;
    const first = !this.head;
    if (this.head) this.scene.remove(this.head.root);
    this.head = this.heads.get(url);
    this.url = url;
    this.scene.add(this.head.root);
    this.light.cover(this.head.sphere.center, this.head.sphere.radius);
    if (first) this.resetView();
    this.setView(this.view);
    this.#pose();
    this.#aimSoftbox();
    this.invalidate();
  }

  async #fetch(url) {
    const root = (await new GLTFLoader().loadAsync(url)).scene, meshes = [];
    const anisotropy = Math.min(8, this.renderer.capabilities.getMaxAnisotropy());
    root.traverse((node) => { if (node.isMesh) meshes.push(node); });
    meshes.forEach((mesh) => dressMesh(mesh, this.#mirrored, anisotropy, this.gpu));
    return { root, meshes, ...measure(root, meshes) };
  }

  /** Free all loaded heads but the one on screen and those at `urls`. */
  retain(urls) {
    for (const [url, head] of this.heads) {
      if (head === this.head || urls.includes(url)) continue;
      disposeMeshes(head.meshes, this.#mirrored);
      this.heads.delete(url);
    }
  }

  /** Show the head "shaded", or its "albedo", "normals" or "wireframe". */
  setView(view) {
    this.view = view;
    this.head?.meshes.forEach((mesh) => showAs(mesh, view));
    this.invalidate();
  }

  /** Set expression weights by name; with `glide` they move there in so many milliseconds. */
  setExpressions(weights, { glide = 0 } = {}) {
    if (glide && this.head && !reducedMotion()) {
      this.glide = { from: { ...this.weights }, to: { ...weights }, start: performance.now(), time: glide };
    } else {
      this.glide = null;
      this.weights = { ...weights };
      this.#pose();
    }
    this.invalidate();
  }

  #advanceGlide(now) {
    const { from, to, start, time } = this.glide;
    const t = Math.min(1, Math.max(0, (now - start) / time)), s = t * t * (3 - 2 * t);
    for (const name of Object.keys(to)) this.weights[name] = MathUtils.lerp(from[name] ?? 0, to[name], s);
    this.#pose();
    if (t < 1) this.invalidate();
    else this.glide = null;
  }

  #pose(weights = this.weights) {
    for (const mesh of this.head?.meshes ?? []) {
      for (const [name, index] of Object.entries(mesh.morphTargetDictionary ?? {})) {
        mesh.morphTargetInfluences[index] = weights[name] ?? 0;
      }
    }
    this.light.key.shadow.needsUpdate = true;
  }

  /** Change the light: fields as in stage.js. */
  setLight(light) {
    this.light.apply(light);
    this.#aimSoftbox();
    this.invalidate();
  }

  /** The softbox in the eyes follows the key light, but below the lids and beside the pupils. */
  #aimSoftbox() {
    const { azimuth, elevation } = this.light.state, strength = mirrored(this.light.state);
    const aside = (azimuth < 0 ? -1 : 1) * MathUtils.clamp(Math.abs(azimuth), 16, 35);
    for (const { userData: { part, shaded } } of this.head?.meshes ?? []) {
      if (!shaded.envMap) continue;
      shaded.envMapIntensity = strength * (part === "eye" ? 1 : 0.3);
      shaded.envMapRotation.set(
        -MathUtils.degToRad(MathUtils.clamp(elevation, 0, 8)), MathUtils.degToRad(aside), 0, "YXZ",
      );
    }
  }

  /** The current picture as a canvas; `background` is a colour in place of the backdrop. */
  snapshot({ pixelRatio = this.quality.still, background = null } = {}) {
    const usual = this.renderer.getPixelRatio();
    if (background) this.scene.background = new Color(background);
    if (pixelRatio !== usual) this.renderer.setPixelRatio(pixelRatio);
    this.draw(); // the buffer is only readable in the task that drew it
    const { width, height } = this.canvas;
    const picture = Object.assign(document.createElement("canvas"), { width, height });
    picture.getContext("2d").drawImage(this.canvas, 0, 0);
    this.scene.background = this.backdrop;
    if (pixelRatio !== usual) this.renderer.setPixelRatio(usual);
    if (background || pixelRatio !== usual) this.draw();
    return picture;
  }

  /** A small square picture of the face with other weights and light; the canvas stays as it is. */
  portrait(weights, size, light) {
    const lit = { ...this.light.state };
    this.light.apply(light);
    this.#pose(weights);
    const picture = drawOffscreen(this.renderer, this.scene, faceCamera(this.head.face), size);
    this.light.apply(lit);
    this.#pose();
    return picture;
  }

  dispose() {
    if (this.disposed) return;
    this.disposed = true;
    cancelAnimationFrame(this.pending);
    clearTimeout(this.sharpening);
    this.listeners.abort();
    this.resizing.disconnect();
    this.theme.disconnect();
    this.backdrop.dispose();
    this.portraitCamera.controls.dispose();
    this.head = null;
    this.retain([]);
    this.environment?.dispose();
    this.renderer.dispose();
    this.renderer.forceContextLoss();
    this.canvas.remove();
  }
}
