"""Drawing heads: differentiable rasterization (D4) and pictures for people.

- ``rasterizer``: the protocol, ``Fragments``, ``AlphaTest`` and ``create_rasterizer``.
- ``cpu_rasterizer``, ``nvdiffrast_rasterizer``, ``reference_rasterizer``: the backends.
- ``visibility``, ``silhouettes``, ``compiled``: what the CPU backend is made of.
- ``normals``: smooth vertex normals across UV seams.
- ``shading``: light and tone of an albedo image.
- ``head_renderer``, ``contact_sheet``: finished pictures of a head; made of ``scene``,
  ``surface_buffer`` and ``lighting``.
"""
