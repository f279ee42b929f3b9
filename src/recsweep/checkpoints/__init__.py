"""Checkpoints: their manifests, the folder that they lie in, and the place that they are sent to."""
