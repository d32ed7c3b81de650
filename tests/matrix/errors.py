"""The one exception of the matrix."""


class MatrixError(Exception):
    """Says in one line what a version lacks here, and what to do."""
