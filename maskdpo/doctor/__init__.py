"""Checks of the installation and of servers."""
