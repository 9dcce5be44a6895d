// Tone mapping that leaves skin alone: colours below SHOULDER stay as they are, brighter ones roll
// off towards white. three's NeutralToneMapping has the same shoulder but subtracts a toe, which
// makes dark skin look oversaturated.
import { CustomToneMapping, ShaderChunk } from "three";

const STUB = "vec3 CustomToneMapping( vec3 color ) { return color; }";
const SHOULDER = 0.76;

/** Install it in three's shaders; returns the value for `renderer.toneMapping`. */
export function skinToneMapping() {
  ShaderChunk.tonemapping_pars_fragment = ShaderChunk.tonemapping_pars_fragment.replace(STUB, `
    vec3 CustomToneMapping( vec3 color ) {
      color *= toneMappingExposure;
      float peak = max( color.r, max( color.g, color.b ) );
      if ( peak < ${SHOULDER} ) return color;
      float room = 1.0 - ${SHOULDER};
      float newPeak = 1.0 - room * room / ( peak + room - ${SHOULDER} );
      float towardsWhite = 1.0 - 1.0 / ( 0.15 * ( peak - newPeak ) + 1.0 );
      return mix( color * newPeak / peak, vec3( newPeak ), towardsWhite );
    }`);
  return CustomToneMapping;
}
