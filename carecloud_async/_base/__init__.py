"""The base of the package: runtime, JSON, project, durable runs. It knows none of CareCloud's operations."""
