"""The SDK and its peers side by side, in one run: `python -m benchmarks`. Ratios count, not figures of one machine."""
