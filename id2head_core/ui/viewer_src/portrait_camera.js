// The camera in front of the head: mouse and touch turn it, the turntable does it by itself.
import { Box3, MathUtils, PerspectiveCamera, Sphere, Spherical, Vector3 } from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";

import { reducedMotion } from "./dom.js";
import { direction } from "./lighting.js";

const CHEST = 0.2; // share of the bust's height below the portrait's frame
const MARGIN = 0.06; // share of the picture's height that stays free above and below the portrait
const BUTTONS = 62; // pixels at the top that buttons cover
const ROOM = 0.015; // metres that a head may differ in height from the one that was framed
const TURN = 12; // seconds of one turn of the turntable
const EYES_TO_CENTRE = 0.022, HALF_FACE = 0.092; // metres: what a thumbnail shows

/** Bounds of the neutral head. Box3.setFromObject would include every morph target at full weight. */
export function measure(root, meshes) {
  root.updateMatrixWorld(true);
  const boxOf = (list) => list.reduce((box, mesh) => {
    const own = new Box3().setFromBufferAttribute(mesh.geometry.attributes.position);
    return box.union(own.applyMatrix4(mesh.matrixWorld));
  }, new Box3());
  const box = boxOf(meshes), eyes = boxOf(meshes.filter(({ userData }) => userData.part === "eye"));
  const face = (eyes.isEmpty() ? box : eyes).getCenter(new Vector3());
  face.y -= EYES_TO_CENTRE;
  return { box, face, sphere: box.getBoundingSphere(new Sphere()) };
}

/** A camera for the thumbnails: the face, seen a little from the side. */
export function faceCamera(face) {
  const camera = new PerspectiveCamera(18, 1, 0.05, 10);
  const distance = HALF_FACE / Math.tan(MathUtils.degToRad(camera.fov / 2));
  camera.position.copy(face).add(direction(14, 3).multiplyScalar(distance));
  camera.lookAt(face);
  camera.updateMatrixWorld();
  return camera;
}

export class PortraitCamera {
  /** `onChange` is called when the picture has to be drawn anew. */
  constructor(canvas, onChange) {
    this.onChange = onChange;
    this.camera = new PerspectiveCamera(24, 1, 0.01, 100);
    const controls = (this.controls = new OrbitControls(this.camera, canvas));
    controls.enableDamping = !reducedMotion();
    controls.dampingFactor = 0.12;
    controls.enablePan = false;
    controls.minPolarAngle = 0.15 * Math.PI;
    controls.maxPolarAngle = 0.85 * Math.PI;
    controls.autoRotateSpeed = -60 / TURN;
    controls.addEventListener("change", onChange);
    controls.addEventListener("start", () => { this.touched = true; });
  }

  /** Advance damping and turntable by `seconds`; asks for the next frame until all is still. */
  update(seconds) {
    this.controls.update(Math.min(seconds, 0.25));
    if (this.turning) this.onChange();
  }

  get turning() { return this.controls.autoRotate; }

  set turning(on) {
    this.controls.autoRotate = on;
    this.touched = true;
    this.onChange();
  }

  /** Size of the canvas in CSS pixels. */
  setSize(width, height) {
    this.camera.aspect = width / height;
    this.above = Math.min(0.2, Math.max(MARGIN, BUTTONS / height));
    this.camera.updateProjectionMatrix();
  }

  /** Move around the head by degrees, and change the distance by a factor. */
  orbit(yaw, pitch, factor = 1) {
    const { target, minDistance, maxDistance, minPolarAngle, maxPolarAngle } = this.controls;
    const place = new Spherical().setFromVector3(this.camera.position.clone().sub(target));
    place.theta += MathUtils.degToRad(yaw);
    place.phi = MathUtils.clamp(place.phi - MathUtils.degToRad(pitch), minPolarAngle, maxPolarAngle);
    place.radius = MathUtils.clamp(place.radius * factor, minDistance, maxDistance);
    this.camera.position.setFromSpherical(place).add(target);
    this.touched = true;
    this.controls.update();
    this.onChange();
  }

  /** Take the camera's place into the controls and forget what they would still coast. */
  #halt() {
    const damped = this.controls.enableDamping;
    this.controls.enableDamping = false;
    this.controls.update();
    this.controls.enableDamping = damped;
  }

  /** Whether `box` may be shown without moving the camera: it fits, or the visitor chose the view. */
  suits(box) {
    return this.touched || Math.abs(box.max.y - this.framed.max.y) < ROOM && Math.abs(box.min.y - this.framed.min.y) < ROOM;
  }

  /** A portrait from the front of what `box` bounds, the cut through the chest out of sight. */
  face(box) {
    this.framed = box.clone();
    const size = box.getSize(new Vector3()), centre = box.getCenter(new Vector3());
    const bottom = box.min.y + CHEST * size.y;
    const slope = Math.tan(MathUtils.degToRad(this.camera.fov / 2));
    const wide = (0.456 * size.x) / this.camera.aspect;
    const half = Math.max((box.max.y - bottom) / (2 * (1 - MARGIN - this.above)), wide);
    centre.y = (bottom + box.max.y) / 2 + (this.above - MARGIN) * half;
    const distance = half / slope + size.z / 4;
    this.controls.target.copy(centre);
    this.camera.position.copy(centre).add(direction(0, 2).multiplyScalar(distance));
    this.camera.near = distance / 50;
    this.camera.far = distance * 10;
    this.camera.updateProjectionMatrix();
    this.controls.minDistance = distance * 0.3;
    this.controls.maxDistance = distance * 2;
    this.#halt();
    this.touched = false;
    this.onChange();
  }
}
