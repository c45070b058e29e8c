"""Texts as people have them: lines, whole files, CSV, JSON Lines and Parquet, read and written a bounded piece at a time.

`source` goes over all files of a run, each read by the module of its kind; `parquet` also writes.
"""
