"""Long series of faults and rounds under load on the running lab; `python -m tests.campaign`."""
