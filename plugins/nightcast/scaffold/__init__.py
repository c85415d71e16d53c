"""A new pipeline's files: DAG, queries, schema override and test, from a few facts about the sales."""
