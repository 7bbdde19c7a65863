"""The PDF reader: characters with boxes in, paragraphs out, one module per step."""
