"""The one exception of the demo."""


class DemoError(Exception):
    """Says in one line what did not work, where, why and what to do; the command line prints it and nothing else."""
