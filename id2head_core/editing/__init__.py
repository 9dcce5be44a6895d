"""Text edits of a finished head: what a wish means, where the edit starts, and its distillation.

- ``wishes``: text to wishes, with a measured confidence.
- ``head_state``: a finished head on disk, to go on from.
- ``shape_start``, ``skin_start``, ``hair_start``: what a wish changes at once.
- ``edit``: all of it, then score distillation of the edited prompt against the unedited one.
"""
