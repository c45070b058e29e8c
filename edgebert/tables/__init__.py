"""Texts as people have them: plain text, CSV, JSON Lines and Parquet, a bounded piece at a time.

`source` goes over all files of a run, each read by the module of its kind; `parquet_writer` writes.
"""
