"""Pictures, by matplotlib: the one folder that imports it."""
