"""What was read, kept in Parquet, so that a restart or a dead source costs nothing."""
