"""The evaluation harness: cases, scorers, runner, reports. It asks through the public door."""
