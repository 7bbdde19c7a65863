"""Responses from a policy, and questions from documents."""
