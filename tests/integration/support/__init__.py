"""What the tests on the lab are built of: meshes and runs, traffic and faults, and looks at what came of them."""
