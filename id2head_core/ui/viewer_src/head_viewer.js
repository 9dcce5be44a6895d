// The 3D view of one head. It draws only when something changed; nothing here talks to the server.
import {
  Box3, MathUtils, PCFShadowMap, PerspectiveCamera, Scene, SRGBColorSpace, Sphere, Spherical,
  Vector3, WebGLRenderer,
} from "three";
import { GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";

import { makeBackdrop, paintBackdrop } from "./backdrop.js";
import { direction, mirrored, softboxEnvironment, StudioLight } from "./lighting.js";
import { disposeHead, dressMesh } from "./materials.js";
import { skinToneMapping } from "./tone_mapping.js";

const GLIDE_MS = 260;
const CHEST = 0.2; // share of the bust's height below the portrait's frame
const reducedMotion = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

// three's own context always has an alpha channel, into which soft hair edges would write holes.
function opaqueContext() {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("webgl2", { alpha: false, antialias: true });
  if (!context) throw new Error("WebGL 2 is not available");
  return { canvas, context };
}

export class HeadViewer {
  /** `host` is an element with a size and a CSS background; `onMessage(text)` tells of trouble. */
  constructor(host, onMessage = () => {}) {
    this.host = host;
    this.onMessage = onMessage;
    this.frames = 0;
    this.weights = {};
    this.meshes = [];
    this.loads = 0;
    this.listeners = new AbortController();
    const renderer = (this.renderer = new WebGLRenderer(opaqueContext()));
    renderer.outputColorSpace = SRGBColorSpace;
    renderer.toneMapping = skinToneMapping();
    renderer.shadowMap.enabled = true;
    renderer.shadowMap.type = PCFShadowMap;
    renderer.setPixelRatio(Math.min(window.devicePixelRatio || 1, 2));
    this.canvas = renderer.domElement;
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("aria-label", "3D head. Arrow keys turn it, plus and minus zoom.");
    host.prepend(this.canvas);
    this.scene = new Scene();
    this.scene.background = makeBackdrop();
    this.camera = new PerspectiveCamera(24, 1, 0.01, 100);
    this.environment = softboxEnvironment(renderer);
    this.light = new StudioLight(this.scene);
    this.#startControls();
    this.#listen();
    this.resizing = new ResizeObserver(() => this.resize());
    this.theme = new MutationObserver(() => this.repaint());
    this.theme.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    this.resizing.observe(host);
    this.resize();
  }

  #startControls() {
    const controls = (this.controls = new OrbitControls(this.camera, this.canvas));
    controls.enableDamping = !reducedMotion();
    controls.dampingFactor = 0.12;
    controls.enablePan = false;
    controls.minPolarAngle = 0.15 * Math.PI;
    controls.maxPolarAngle = 0.85 * Math.PI;
    controls.addEventListener("change", () => this.invalidate());
    controls.addEventListener("start", () => { this.touched = true; });
  }

  #listen() {
    const on = (type, handler, options = {}) =>
      this.canvas.addEventListener(type, handler, { signal: this.listeners.signal, ...options });
    on("webglcontextlost", (event) => {
      event.preventDefault();
      this.lost = true;
      this.onMessage("The graphics driver stopped the 3D view. It restarts by itself in a moment.");
    });
    on("webglcontextrestored", () => {
      this.lost = false;
      const old = this.environment.texture;
      this.environment = softboxEnvironment(this.renderer);
      for (const { material } of this.#allMeshes()) {
        if (material.envMap === old) material.envMap = this.environment.texture;
      }
      this.light.key.shadow.needsUpdate = true;
      this.onMessage("");
      this.invalidate();
    });
    on("dblclick", () => this.resetView());
    on("keydown", (event) => this.#key(event));
  }

  #key(event) {
    const turn = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, 10], ArrowDown: [0, -10] }[event.key];
    const zoom = { "+": 0.9, "=": 0.9, "-": 1 / 0.9 }[event.key];
    if (event.key === "Home" || event.key === "0") this.resetView();
    else if (turn) this.orbit(turn[0], turn[1], 1);
    else if (zoom) this.orbit(0, 0, zoom);
    else return;
    event.preventDefault();
  }

  /** Move the camera around the head by degrees, and its distance by a factor. */
  orbit(yaw, pitch, factor = 1) {
    const { target, minDistance, maxDistance, minPolarAngle, maxPolarAngle } = this.controls;
    const place = new Spherical().setFromVector3(this.camera.position.clone().sub(target));
    place.theta += MathUtils.degToRad(yaw);
    place.phi = MathUtils.clamp(place.phi - MathUtils.degToRad(pitch), minPolarAngle, maxPolarAngle);
    place.radius = MathUtils.clamp(place.radius * factor, minDistance, maxDistance);
    this.camera.position.setFromSpherical(place).add(target);
    this.touched = true;
    this.controls.update();
    this.invalidate();
  }

  resize() {
    if (!this.host.isConnected) return this.dispose();
    const width = this.host.clientWidth, height = this.host.clientHeight;
    if (!width || !height) return;
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    if (this.root && !this.touched) this.resetView();
    this.repaint();
  }

  /** The backdrop anew: the size or the theme of the page has changed. */
  repaint() {
    if (!this.host.clientWidth || !this.host.clientHeight) return;
    paintBackdrop(this.scene.background, this.host);
    this.invalidate();
  }

  /** Ask for one frame. */
  invalidate() {
    if (this.pending || this.lost || this.disposed) return;
    this.pending = requestAnimationFrame((now) => {
      this.pending = 0;
      this.#frame(now);
    });
  }

  #frame(now) {
    if (!this.host.isConnected) return this.dispose();
    if (this.glide) this.#advanceGlide(now);
    this.controls.update(); // damping: asks for the next frame until it has settled
    this.draw();
  }

  draw() {
    this.renderer.render(this.scene, this.camera);
    this.frames++;
  }

  /** Show the .glb at `url` in place of the current head; camera, pose and light stay. */
  async load(url) {
    const ticket = ++this.loads;
    const gltf = await new GLTFLoader().loadAsync(url);
    const root = gltf.scene, meshes = [];
    const anisotropy = Math.min(8, this.renderer.capabilities.getMaxAnisotropy());
    root.traverse((node) => { if (node.isMesh) meshes.push(node); });
    meshes.forEach((mesh) => dressMesh(mesh, this.environment.texture, anisotropy));
    if (ticket !== this.loads || this.disposed) return disposeHead(root, this.environment.texture);
    const first = !this.root;
    this.clear();
    this.root = root;
    this.meshes = meshes.filter((mesh) => mesh.morphTargetDictionary);
    this.scene.add(root);
    this.#measure(root, meshes);
    if (first) this.resetView();
    this.#pose();
    this.#aimSoftbox();
    this.invalidate();
  }

  // Box3.setFromObject would include every morph target at full weight: use the neutral's POSITION.
  #measure(root, meshes) {
    root.updateMatrixWorld(true);
    this.box = new Box3();
    for (const mesh of meshes) {
      const positions = mesh.geometry.attributes.position;
      this.box.union(new Box3().setFromBufferAttribute(positions).applyMatrix4(mesh.matrixWorld));
    }
    const sphere = this.box.getBoundingSphere(new Sphere());
    this.light.cover(sphere.center, sphere.radius);
  }

  /** Put the camera back in front of the head: a portrait, the cut through the chest out of sight. */
  resetView() {
    if (!this.box) return;
    const size = this.box.getSize(new Vector3()), centre = this.box.getCenter(new Vector3());
    const bottom = this.box.min.y + CHEST * size.y;
    centre.y = (bottom + this.box.max.y) / 2;
    const slope = Math.tan(MathUtils.degToRad(this.camera.fov / 2));
    const half = Math.max((this.box.max.y - bottom) / 2, (0.4 * size.x) / this.camera.aspect);
    const distance = (1.14 * half) / slope + size.z / 4;
    this.controls.target.copy(centre);
    this.camera.position.copy(centre).add(direction(0, 2).multiplyScalar(distance));
    this.camera.near = distance / 50;
    this.camera.far = distance * 10;
    this.camera.updateProjectionMatrix();
    this.controls.minDistance = distance * 0.3;
    this.controls.maxDistance = distance * 2;
    this.controls.update();
    this.touched = false;
    this.invalidate();
  }

  clear() {
    if (!this.root) return;
    this.scene.remove(this.root);
    disposeHead(this.root, this.environment.texture);
    this.root = null;
    this.meshes = [];
  }

  #allMeshes() {
    const found = [];
    this.root?.traverse((node) => { if (node.isMesh) found.push(node); });
    return found;
  }

  /** Set expression weights by name; with `glide` they move there in a quarter of a second. */
  setExpressions(weights, { glide = false } = {}) {
    if (glide && this.root && !reducedMotion()) {
      this.glide = { from: { ...this.weights }, to: { ...weights }, start: performance.now() };
    } else {
      this.glide = null;
      this.weights = { ...weights };
      this.#pose();
    }
    this.invalidate();
  }

  #advanceGlide(now) {
    const { from, to, start } = this.glide;
    const t = Math.min(1, Math.max(0, (now - start) / GLIDE_MS)), s = t * t * (3 - 2 * t);
    for (const name of Object.keys(to)) this.weights[name] = MathUtils.lerp(from[name] ?? 0, to[name], s);
    this.#pose();
    if (t < 1) this.invalidate();
    else this.glide = null;
  }

  #pose() {
    for (const mesh of this.meshes) {
      for (const [name, index] of Object.entries(mesh.morphTargetDictionary)) {
        mesh.morphTargetInfluences[index] = this.weights[name] ?? 0;
      }
    }
    this.light.key.shadow.needsUpdate = true;
  }

  /** Change the light: preset, or azimuth and elevation in degrees; intensity (1 = normal). */
  setLight(light) {
    this.light.apply(light);
    this.#aimSoftbox();
    this.invalidate();
  }

  /** The softbox in the eyes follows the key light but stays where an eye can mirror it. */
  #aimSoftbox() {
    const { azimuth, elevation } = this.light.state, strength = mirrored(this.light.state);
    for (const { material, userData } of this.#allMeshes()) {
      if (!material.envMap) continue;
      material.envMapIntensity = strength * (userData.part === "eye" ? 1 : 0.3);
      material.envMapRotation.set(
        -MathUtils.degToRad(MathUtils.clamp(elevation, 15, 35)),
        MathUtils.degToRad(MathUtils.clamp(azimuth, -35, 35)), 0, "YXZ",
      );
    }
  }

  /** The current picture as a canvas of the drawing buffer's size. */
  snapshot() {
    this.draw(); // the buffer is only readable in the task that drew it
    const { width, height } = this.canvas;
    const picture = Object.assign(document.createElement("canvas"), { width, height });
    picture.getContext("2d").drawImage(this.canvas, 0, 0);
    return picture;
  }

  dispose() {
    if (this.disposed) return;
    this.disposed = true;
    cancelAnimationFrame(this.pending);
    this.listeners.abort();
    this.resizing.disconnect();
    this.theme.disconnect();
    this.scene.background.dispose();
    this.controls.dispose();
    this.clear();
    this.environment.dispose();
    this.renderer.dispose();
    this.renderer.forceContextLoss();
    this.canvas.remove();
  }
}
