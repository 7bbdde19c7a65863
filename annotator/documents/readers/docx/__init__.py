"""The docx reader: what Word shows, as HTML for the HTML reader, one module per step."""
