"""Checks of what is stored: references that lead nowhere, ledgers that disagree with databases. They only read."""
