"""What of old runs may be removed: staging parts, incomplete runs and, if wanted, whole runs."""
