"""Faster training with equal results, one file per model family.

RecBole's model keeps its parameters, its trainer keeps its loop, early stop and metrics. What is replaced
is how one epoch of batches and one validation are computed. `trainer.install` decides for each trial and
says why where it stays with RecBole.
"""
