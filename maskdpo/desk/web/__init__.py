"""The pages of the desk: the application, sessions, words, templates, and one module per page."""
