"""recsweep: tune a panel of recommender models on a panel of data sets, fairly and without loss."""

__version__ = "0.1.0"
