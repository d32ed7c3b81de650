"""Istio meshes on one machine, as plain processes. `python -m tests.lab` drives it; tests use `Lab`."""

from .api import Capture, Lab
from .errors import LabError

__all__ = ["Capture", "Lab", "LabError"]
