"""The finished head as files: ``gltf`` (the product), ``mesh_export`` (.obj, .ply)."""
