"""Thin adapters: translate what comes in, call the public door, translate what comes back."""
