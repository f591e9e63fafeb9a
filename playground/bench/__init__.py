"""Measurements through a session: sweeps over beam shapes, benchmarks over prompt sets. Knows no screen."""
