"""An app of models that Django itself finds fault with."""
