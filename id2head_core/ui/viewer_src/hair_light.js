// Light on hair glances off along the strands: two highlights, shifted along them, the second in the
// hair's own colour (Kajiya and Kay 1989, with the lobes of Marschner et al. 2003 as Scheuermann
// 2004 draws them). `render/hair_light.py` has the same for pictures.
import { BufferAttribute, Vector3 } from "three";

const VERTEX = {
  "#include <common>": "attribute vec3 strand;\nvarying vec3 vStrand;",
  "#include <project_vertex>": "vStrand = normalMatrix * strand;",
};

const LOBES = `
varying vec3 vStrand;
vec3 strand; // unit, in the surface
float tilt; // of this strand against its neighbours, in [-1, 1]
float scattered( float cell ) { // Hoskins' hash without sine
  cell = fract( cell * 0.1031 );
  cell *= cell + 33.33;
  return fract( 2.0 * cell * cell );
}
float noise( float at ) {
  float cell = floor( at ), share = at - cell;
  return mix( scattered( cell ), scattered( cell + 1.0 ), share * share * ( 3.0 - 2.0 * share ) );
}
float lobe( vec3 normal, vec3 halfway, float shift, float width ) {
  float along = dot( normalize( strand + ( shift + 0.3 * tilt ) * normal ), halfway );
  return pow( max( 0.0, 1.0 - along * along ), width );
}
vec3 glance( vec3 towards, vec3 normal, vec3 view, vec3 colour ) {
  vec3 halfway = normalize( towards + view );
  float first = lobe( normal, halfway, 0.06, 90.0 ), second = lobe( normal, halfway, -0.12, 22.0 );
  float facing = smoothstep( -0.1, 0.6, dot( normal, towards ) );
  float smoothed = clamp( 1.0 - 2.6 * ( roughness - 0.55 ), 0.35, 1.0 ); // curls and crops shine less
  return facing * smoothed * ( first * ( 0.1 + 0.1 * tilt ) + 1.1 * second * colour );
}
void RE_Direct_Hair( const in IncidentLight directLight, const in vec3 geometryPosition, const in vec3 geometryNormal, const in vec3 geometryViewDir, const in vec3 geometryClearcoatNormal, const in PhysicalMaterial material, inout ReflectedLight reflectedLight ) {
  vec3 towards = directLight.direction, light = directLight.color * RECIPROCAL_PI;
  float facing = saturate( 0.8 * dot( geometryNormal, towards ) + 0.2 ); // it gets between strands
  reflectedLight.directDiffuse += facing * light * material.diffuseColor;
  reflectedLight.directSpecular += light * glance( towards, geometryNormal, geometryViewDir, material.diffuseColor );
}
#undef RE_Direct
#define RE_Direct RE_Direct_Hair`;

const FRAGMENT = {
  "#include <lights_physical_pars_fragment>": LOBES,
  "#include <lights_physical_fragment>": `
    strand = normalize( vStrand - normal * dot( normal, vStrand ) + 1e-6 );
    tilt = 1.1 * noise( 400.0 * vMapUv.x + 6.0 * vMapUv.y ) + 0.9 * noise( 90.0 * vMapUv.x - 4.0 * vMapUv.y ) - 1.0;`,
  "#include <lights_fragment_end>": `
    vec3 above = normalize( ( viewMatrix * vec4( 0.0, 1.0, 0.0, 0.0 ) ).xyz + 0.5 * geometryViewDir );
    reflectedLight.indirectSpecular += 0.7 * getLightProbeIrradiance( lightProbe, normal ) * RECIPROCAL_PI
      * glance( above, geometryNormal, geometryViewDir, material.diffuseColor );`,
};

/** Give a hair's mesh its strands, and its material light that follows them. */
export function lightAsHair(mesh) {
  mesh.geometry.setAttribute("strand", strandsOf(mesh.geometry));
  mesh.material.onBeforeCompile = (shader) => {
    shader.vertexShader = extended(shader.vertexShader, VERTEX);
    shader.fragmentShader = extended(shader.fragmentShader, FRAGMENT);
  };
  mesh.material.customProgramCacheKey = () => "hair";
}

/** `shader` with code after some of its lines. */
function extended(shader, additions) {
  for (const [line, code] of Object.entries(additions)) shader = shader.replace(line, `${line}\n${code}`);
  return shader;
}

/** Direction of the strands at each vertex: that in which the texture's v grows. */
function strandsOf({ index, attributes: { position, uv } }) {
  const strands = new Float32Array(3 * position.count);
  const [origin, first, second] = [new Vector3(), new Vector3(), new Vector3()];
  for (let i = 0; i < index.count; i += 3) {
    const [a, b, c] = [index.getX(i), index.getX(i + 1), index.getX(i + 2)];
    origin.fromBufferAttribute(position, a);
    first.fromBufferAttribute(position, b).sub(origin);
    second.fromBufferAttribute(position, c).sub(origin);
    const u1 = uv.getX(b) - uv.getX(a), u2 = uv.getX(c) - uv.getX(a);
    const v1 = uv.getY(b) - uv.getY(a), v2 = uv.getY(c) - uv.getY(a);
    const along = second.multiplyScalar(u1).addScaledVector(first, -u2);
    along.multiplyScalar(Math.sign(u1 * v2 - u2 * v1) / (along.length() + 1e-12));
    for (const vertex of [a, b, c]) {
      strands[3 * vertex] += along.x;
      strands[3 * vertex + 1] += along.y;
      strands[3 * vertex + 2] += along.z;
    }
  }
  return new BufferAttribute(strands, 3);
}
