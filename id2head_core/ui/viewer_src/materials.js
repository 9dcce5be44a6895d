// Turns the plain PBR materials of a head's .glb into what each part should look like on screen.
import { DoubleSide, MeshPhysicalMaterial } from "three";

import { lightAsHair } from "./hair_light.js";

/** Part of the head ("skin", "eyes", ...) that a mesh belongs to, from its own or material's name. */
export function partOf(mesh) {
  const names = `${mesh.name} ${mesh.parent?.name ?? ""} ${mesh.material.name}`.toLowerCase();
  return ["lash", "strands", "hair", "teeth", "tongue", "eye", "skin"].find((part) => names.includes(part)) ?? "skin";
}

/** A copy of the eyes' material with a wet layer that mirrors the softbox. */
function wetEyes({ name, color, map, alphaTest, transparent, side }, environment) {
  return new MeshPhysicalMaterial({
    name, color, map, alphaTest, transparent, side, metalness: 0, clearcoat: 0.7,
    roughness: 0.85, specularIntensity: 0.15, // below the wet layer an iris is matt, or it looks milky
    clearcoatRoughness: environment ? 0.02 : 0.14, // without one only the key light shows
    envMap: environment,
  });
}

/**
 * Adjust one mesh of a head. `environment` is the texture that shiny parts mirror, or null;
 * `multisampled` tells whether the canvas is.
 */
export function dressMesh(mesh, environment, anisotropy, multisampled) {
  const part = partOf(mesh);
  mesh.userData.part = part;
  mesh.frustumCulled = false; // bounds of the neutral do not hold for a posed head
  if (part === "eye") {
    const plain = mesh.material;
    mesh.material = wetEyes(plain, environment);
    plain.dispose();
  }
  const material = mesh.material;
  for (const texture of [material.map, material.alphaMap]) if (texture) texture.anisotropy = anisotropy;
  if (part === "teeth" || part === "tongue") {
    Object.assign(material, { envMap: environment, roughness: 0.3 });
  }
  if (part === "hair" || part === "strands") {
    material.roughnessMap = null;
    lightAsHair(mesh);
  }
  if (material.alphaTest > 0) {
    material.alphaToCoverage = multisampled; // soft edges of strands without sorting
    if (part !== "strands") material.side = DoubleSide; // of the far side they would float at the outline
  }
  // Opaque parts first, so that what they cover of the hair need not be shaded.
  mesh.renderOrder = { skin: 0, hair: 2, strands: 3 }[part] ?? 1;
  mesh.castShadow = part === "skin" || part === "hair";
  mesh.receiveShadow = part !== "lash" && part !== "strands"; // thinner than a shadow's bias
  return part;
}

/** Free everything that a head's meshes hold on the GPU; `keep` is a texture that others still use. */
export function disposeMeshes(meshes, keep) {
  for (const mesh of meshes) {
    mesh.geometry.dispose();
    const own = mesh.userData.shaded ?? mesh.material;
    for (const value of Object.values(own)) {
      if (!value?.isTexture || value === keep) continue;
      value.source?.data?.close?.();
      value.dispose();
    }
    mesh.material.dispose();
    own.dispose();
  }
}
