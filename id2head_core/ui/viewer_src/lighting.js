// Studio light: a key light with shadow, a rim light, and a degree-2 SH probe for everything else.
// Intensities are fractions of "an albedo of 1 looks white": key = 1 means irradiance pi.
import {
  Color, DirectionalLight, Group, LightProbe, Mesh, MeshBasicMaterial, PlaneGeometry,
  PMREMGenerator, Scene, Vector3,
} from "three";

const DEGREE = Math.PI / 180;

/**
 * Light presets. azimuth, elevation: degrees; azimuth > 0 is the right side of the picture when
 * the head faces the viewer. sky: how much brighter the ambient light is from above.
 */
export const PRESETS = {
  front: { azimuth: 8, elevation: 24, key: 0.68, fill: 0.1, ambient: 0.36, rim: 0.1 },
  right: { azimuth: 72, elevation: 18, key: 1.0, fill: 0.05, ambient: 0.17, rim: 0.1 },
  back: { azimuth: 165, elevation: 32, key: 0.5, fill: 0.08, ambient: 0.2, rim: 0.2 },
  left: { azimuth: -72, elevation: 18, key: 1.0, fill: 0.05, ambient: 0.17, rim: 0.1 },
  direct: { azimuth: 32, elevation: 42, key: 1.15, fill: 0, ambient: 0.07, rim: 0 },
  diffuse: { azimuth: 0, elevation: 60, key: 0, fill: 0.12, ambient: 0.85, rim: 0 },
};
const KEY = new Color(0xfffaf2);
const FREE = { key: 0.9, fill: 0.06, ambient: 0.22, rim: 0.1 };

/** Unit vector of a direction given in degrees; (0, 0) points at the viewer (+Z). */
export function direction(azimuth, elevation) {
  const a = azimuth * DEGREE, e = elevation * DEGREE;
  return new Vector3(Math.sin(a) * Math.cos(e), Math.sin(e), Math.cos(a) * Math.cos(e));
}

/** The nine real SH basis functions at the unit vector d, in three.js's order. */
function shBasis({ x, y, z }) {
  return [
    0.282095, 0.488603 * y, 0.488603 * z, 0.488603 * x, 1.092548 * x * y, 1.092548 * y * z,
    0.315392 * (3 * z * z - 1), 1.092548 * x * z, 0.546274 * (x * x - y * y),
  ];
}

/** Coefficients of ambient light that is brighter from above, plus a soft lobe from `towards`. */
function probeCoefficients({ ambient, fill, towards, tint, ambientTint }) {
  const warm = new Vector3(1, 0.985, 0.965).multiply(tint);
  const cool = new Vector3(0.97, 0.985, 1.0).multiply(ambientTint);
  const lobe = shBasis(towards).map((b) => warm.clone().multiplyScalar((b * fill * Math.PI) / 1.0625));
  const constant = ambient * Math.sqrt(4 * Math.PI);
  lobe[0].addScaledVector(cool, constant);
  lobe[1].addScaledVector(cool, 0.2 * constant); // + 35 % from above, - 35 % from below
  return lobe;
}

/** Linear factors of a colour of light that keep its brightness. */
function tintOf(colour) {
  const { r, g, b } = new Color(colour);
  return new Vector3(r, g, b).divideScalar(Math.max(0.35, 0.2126 * r + 0.7152 * g + 0.0722 * b));
}

/** Key, rim and ambient light of the scene. */
export class StudioLight {
  constructor(scene) {
    this.key = new DirectionalLight(KEY, 1);
    this.rim = new DirectionalLight(0xf2f7ff, 0);
    this.probe = new LightProbe();
    this.group = new Group().add(
      this.key, this.key.target, this.rim, this.rim.target, this.probe,
    );
    scene.add(this.group);
    const shadow = this.key.shadow;
    this.key.castShadow = true;
    shadow.mapSize.set(1024, 1024);
    shadow.autoUpdate = false;
    this.radius = 1;
    this.centre = new Vector3();
    this.state = { ...PRESETS.front, intensity: 1, colour: "#ffffff", softness: 0.35 };
  }

  /** Fit the shadow's frustum to a head: bounding sphere in metres. */
  cover(centre, radius) {
    this.centre.copy(centre);
    this.radius = radius;
    const camera = this.key.shadow.camera;
    camera.left = camera.bottom = -radius;
    camera.right = camera.top = radius;
    camera.near = radius;
    camera.far = 5 * radius;
    camera.updateProjectionMatrix();
    this.key.shadow.normalBias = radius * 0.006;
    this.key.shadow.bias = -0.0006;
    this.apply({});
  }

  /** Change the light; a direction without a preset is the free light. */
  apply({ preset, azimuth, elevation, ...rest }) {
    const look = preset ? PRESETS[preset] : azimuth === undefined ? {} : FREE;
    const state = Object.assign(this.state, look, rest);
    if (!preset && azimuth !== undefined) Object.assign(state, { azimuth, elevation });
    const towards = direction(state.azimuth, state.elevation), k = state.intensity;
    const tint = tintOf(state.colour);
    this.key.position.copy(this.centre).addScaledVector(towards, 3 * this.radius);
    this.key.target.position.copy(this.centre);
    this.key.color.copy(KEY).multiply({ r: tint.x, g: tint.y, b: tint.z });
    this.key.intensity = state.key * Math.PI * k;
    this.key.castShadow = state.key > 0;
    this.key.shadow.radius = 1 + 9 * state.softness; // texels
    this.key.shadow.intensity = 0.92 - 0.2 * state.softness;
    const behind = new Vector3(-towards.x, 0.35, -Math.abs(towards.z) - 0.4).normalize();
    this.rim.position.copy(this.centre).addScaledVector(behind, 3 * this.radius);
    this.rim.target.position.copy(this.centre);
    this.rim.intensity = state.rim * Math.PI * k;
    const soft = new Vector3(-0.6 * towards.x, 0.2, 0.8).normalize();
    const ambientTint = new Vector3(1, 1, 1).lerp(tint, state.key > 0 ? 0.3 : 1);
    const coefficients = probeCoefficients(
      { ambient: state.ambient * k, fill: state.fill * k, towards: soft, tint, ambientTint },
    );
    this.probe.sh.coefficients.forEach((c, i) => c.copy(coefficients[i]));
    this.key.shadow.needsUpdate = true;
  }
}

/** How strongly the light shows in what mirrors it, in [0, 1]: nothing when it comes from behind. */
export function mirrored({ azimuth, elevation, key, intensity }) {
  const ahead = Math.max(0, direction(azimuth, elevation).z);
  return Math.min(1.2, intensity * (key > 0 ? 0.2 + 0.8 * ahead : 0.35));
}

/** A dark room with one softbox ahead and a weak strip: what wet eyes mirror. */
export function softboxEnvironment(renderer) {
  const room = new Scene();
  room.background = new Color(0.05, 0.05, 0.055);
  const panel = (width, height, x, y, z, brightness) => {
    const material = new MeshBasicMaterial({ color: new Color().setScalar(brightness), side: 2 });
    const mesh = new Mesh(new PlaneGeometry(width, height), material);
    mesh.position.set(x, y, z);
    mesh.lookAt(0, 0, 0);
    room.add(mesh);
  };
  panel(0.9, 0.9, 0, 0, 5, 22); // small: it shall be mirrored, not light the white of the eye
  panel(0.4, 2.5, -4.6, 0.6, 2.4, 3);
  const generator = new PMREMGenerator(renderer);
  const target = generator.fromScene(room, 0, 0.1, 20);
  generator.dispose();
  room.traverse((node) => { node.geometry?.dispose(); node.material?.dispose(); });
  return target;
}
