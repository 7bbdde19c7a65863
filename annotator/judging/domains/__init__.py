"""Domains: an owner's rules and examples for a judge."""
