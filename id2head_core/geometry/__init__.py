"""Tetrahedral grid, marching tetrahedra and the meshes of a head."""
