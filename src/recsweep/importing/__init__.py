"""Data as people have it, made a data set: read in blocks, checked cell by cell, written as atomic files."""
