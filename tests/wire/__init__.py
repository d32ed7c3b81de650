"""The wire between clusters beside random objects of others. `python -m tests.wire` runs it."""
