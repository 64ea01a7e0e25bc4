"""The tags of the templates of the console."""
