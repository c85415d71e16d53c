"""What a run tells a person: one HTML page, and a few lines for a terminal."""
