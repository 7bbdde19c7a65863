"""The PDF reader: from characters with boxes to paragraphs, one module per step."""
