"""How good a model is on records that it has not seen."""
