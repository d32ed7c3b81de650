"""The root and the leaf of the unit tests, and their profile."""

from tests.unit.conftest import leaf, root

__all__ = ["leaf", "root"]
