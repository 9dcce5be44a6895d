"""Look of the page: Gradio's theme; everything else is in ``static/app.css``."""

import gradio as gr

# Gradio's wheel has semi-bold fonts without most letters: only 400 and 700 are complete.
FONT = [
    gr.themes.LocalFont("Source Sans Pro", weights=(400, 700)),
    "ui-sans-serif",
    "system-ui",
    "sans-serif",
]
MONO = [gr.themes.LocalFont("IBM Plex Mono", weights=(400, 700)), "ui-monospace", "monospace"]


def theme() -> gr.themes.Base:
    """Calm greys, one teal accent, large radii."""
    look = gr.themes.Base(
        primary_hue="teal", neutral_hue="slate", radius_size="lg", font=FONT, font_mono=MONO
    )
    return look.set(
        body_background_fill="#f3f5f7",
        body_background_fill_dark="#0f1418",
        button_primary_background_fill="#0f766e",
        button_primary_background_fill_hover="#115e59",
        button_primary_background_fill_dark="#14b8a6",
        button_primary_background_fill_hover_dark="#2dd4bf",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#06201d",
    )
