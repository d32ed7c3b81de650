"""Measures the standing figures on the running lab; see README.md."""
