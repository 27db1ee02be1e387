"""What needs nothing of CareCloud's operations: the run time, JSON, the project, durable runs."""
