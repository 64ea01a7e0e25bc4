"""Reports as HTML pages: what they show in Python, markup and style in templates."""
