"""The docx reader: what Word shows of a file, as HTML for the HTML reader, one module per step."""
