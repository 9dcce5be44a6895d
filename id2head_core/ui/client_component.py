"""Base of the app's own components: HTML from Python, behaviour from one bundled ES module.

The templates never mention ``${value}``: Gradio re-renders them on each change of the value and
removes nodes that the template lacks, such as the viewer's canvas. A constant template is left
alone, and the module listens to the value instead.
"""

import hashlib
from pathlib import Path
from typing import Any

import gradio as gr

STATIC = Path(__file__).resolve().parent / "static"
"""Front-end files; world-readable once the app runs, so nothing else may live there."""

BUNDLE = STATIC / "id2head.mjs"
"""three.js and our own components, built by ``viewer_src/build.sh``."""

gr.set_static_paths([STATIC])


def static_url(path: Path) -> str:
    """URL of a file below STATIC, relative to the page's base, with its hash against caching."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return f"gradio_api/file={path}?v={digest}"


class ClientComponent(gr.HTML):
    """A component whose behaviour is a function of the bundle with the class's name."""

    def __init__(self, value: Any, template: str, props: dict[str, Any], **kwargs):
        """Build the component.

        Args:
            value: first value, JSON-serialisable.
            template: constant HTML.
            props: JSON-serialisable settings for the module; names must be valid JavaScript names.
            kwargs: passed on to ``gr.HTML``.
        """
        super().__init__(
            value=value,
            html_template=template,
            js_on_load=(STATIC / "mount.js").read_text("utf-8"),
            apply_default_css=False,
            padding=False,
            component=type(self).__name__,
            module_url=static_url(BUNDLE),
            **props,
            **kwargs,
        )

    def postprocess(self, value: Any) -> Any:
        """Hand the value to the browser unchanged."""
        return value

    def api_info(self) -> dict[str, Any]:
        """Schema of the value."""
        return {"type": "object"}

    def example_payload(self) -> Any:
        """No example."""
        return None

    def example_value(self) -> Any:
        """No example."""
        return None
