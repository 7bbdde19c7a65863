"""The index of annotations: search, filters, orders and people's decisions, in milliseconds.

What it is made of can be made again from the annotations, the documents and the reviews; it may be
removed at any time.
"""

# from maskdpo.desk.index.index import Index

# __all__ = ["Index"]
