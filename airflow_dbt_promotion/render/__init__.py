"""How everything is told: documents for machines, text for terminals, markdown for pull requests. Pure functions of the
engine's values.
"""
