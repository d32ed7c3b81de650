"""The one exception of the lab."""


class LabError(Exception):
    """Says in one line what failed, where, why and what to do; the command line prints it and nothing else."""
