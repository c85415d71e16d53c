"""Real-time predictions: a model behind an HTTP endpoint that speaks Amazon ML's API."""
