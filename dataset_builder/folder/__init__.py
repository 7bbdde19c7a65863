"""The data set folder: Parquet files, manifest, statistics, card, validation."""
