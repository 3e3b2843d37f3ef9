"""From questions to a written, cited plan: interview, readiness, use cases, estimates, brief."""
