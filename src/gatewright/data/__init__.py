"""Series: the one in the package, and those in CSV files."""
