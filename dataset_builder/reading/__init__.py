"""The builder's input: files of rows, and the first reading of all of them."""
