"""The demo: one link joins two meshes on this machine, and every hop says who presented which certificate."""
