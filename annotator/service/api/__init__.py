"""The HTTP API: bodies, routes and the application that joins them."""
