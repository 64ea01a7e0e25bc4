"""An app of models that have more than a table of plain columns: conditions, parents, keys of several columns."""
