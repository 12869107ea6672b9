"""The head atlas as tables, figures, cards, words and a section; nothing is computed here."""
