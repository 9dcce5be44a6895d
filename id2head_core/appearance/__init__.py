"""Albedo, light and the identity refinement."""
