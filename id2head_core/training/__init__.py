"""Offline: baking of the template and of other weights."""
