"""Samples in shards, tars or Parquet files of thousands, read one at a time in any order."""
