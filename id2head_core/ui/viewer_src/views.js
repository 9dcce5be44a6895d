// The ways to look at a head: as lit, its albedo, its normals, its triangles.
import { Mesh, MeshBasicMaterial } from "three";

export const VIEWS = ["shaded", "albedo", "normals", "wireframe"];

// What each view shows in place of the lit colour: linear colours, in three's fragment shader.
// `normal` is in camera space, as in the normal images that the geometry is made from.
const COLOUR = {
  albedo: "outgoingLight = diffuseColor.rgb;",
  normals: "outgoingLight = sRGBTransferEOTF( vec4( 0.5 + 0.5 * normal, 1.0 ) ).rgb;",
  wireframe: "outgoingLight = vec3( 0.035 + 0.3 * normal.z * normal.z );",
};
const LINES = new MeshBasicMaterial({
  color: 0x5eead4, wireframe: true, transparent: true, opacity: 0.32, toneMapped: false,
});

/** Show one mesh in a view. Its own material stays in `userData.shaded`. */
export function showAs(mesh, view) {
  const shaded = (mesh.userData.shaded ??= mesh.material);
  if (mesh.material !== shaded) mesh.material.dispose();
  mesh.material = view === "shaded" ? shaded : flat(shaded, view);
  mesh.userData.lines?.removeFromParent();
  const part = mesh.userData.part;
  mesh.visible = view !== "wireframe" || part !== "strands"; // they would hide the mesh below
  if (view === "wireframe" && part !== "lash") {
    mesh.add((mesh.userData.lines ??= linesOf(mesh)));
  }
}

/** The material with another colour; cut-outs and morphs work as before. */
function flat(shaded, view) {
  const material = shaded.clone();
  const line = "#include <opaque_fragment>";
  material.toneMapped = false;
  material.onBeforeCompile = (shader) => {
    shader.fragmentShader = shader.fragmentShader.replace(line, `${COLOUR[view]}\n${line}`);
  };
  material.customProgramCacheKey = () => view;
  if (view === "wireframe") Object.assign(material, { polygonOffset: true, polygonOffsetFactor: 1, polygonOffsetUnits: 1 });
  return material;
}

function linesOf(mesh) {
  const lines = new Mesh(mesh.geometry, LINES);
  lines.frustumCulled = false;
  lines.morphTargetInfluences = mesh.morphTargetInfluences; // moves with the mesh
  return lines;
}
