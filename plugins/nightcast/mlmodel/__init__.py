"""Learners, and the model directory."""
