"""Language models of characters or bytes: trained on a text, they continue it and tell how likely another text is."""
