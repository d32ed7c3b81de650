"""The ansible-core that people have: each version with unit tests and one whole life of a link on the lab."""
