"""The frozen 2D priors and the gradients that they give.

- ``prior_camera``, ``prior_image``: heads as a prior sees them.
- ``text_encoder``, ``conditioner``: prompts as what a prior attends to.
- ``score_distillation``: the gradient that reaches a rendered image.
"""
