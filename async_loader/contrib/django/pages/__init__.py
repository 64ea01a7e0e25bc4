"""Reports as HTML pages: text and geometry in Python, markup and style in templates."""
