"""The recipe language, suggested recipes, and the featurizer that a recipe becomes."""
