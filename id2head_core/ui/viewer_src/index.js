// Entry of the bundle: Gradio's HTML components call `mount(ctx)`, see static/mount.js.
import { mountExpressionPanel } from "./expression_panel.js";
import { mountHeadViewer } from "./head_viewer_component.js";
import { mountLightPicker } from "./light_picker.js";
import { mountPhotoInput } from "./photo_input.js";
import { mountRunStatus } from "./run_status.js";

const MOUNTS = {
  ExpressionPanel: mountExpressionPanel,
  HeadViewer: mountHeadViewer,
  LightPicker: mountLightPicker,
  PhotoInput: mountPhotoInput,
  RunStatus: mountRunStatus,
};

/**
 * Start one component. `ctx` carries what Gradio hands to js_on_load: element, props, trigger,
 * watch and upload. `props.component` names the component.
 */
export function mount(ctx) {
  MOUNTS[ctx.props.component](ctx);
}
