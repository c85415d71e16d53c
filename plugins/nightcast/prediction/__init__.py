"""Batch predictions in Amazon ML's files and formats."""
