"""What people decided: appended to a file, compared with each other, laid over annotations."""
