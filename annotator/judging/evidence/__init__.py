"""Quotes of a judge, located in the documents."""
