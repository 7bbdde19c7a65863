"""Domains: rules and examples for a judge, from the owner of the documents."""
