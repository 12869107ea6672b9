"""What is measured of words, tables and spaces, in the model and in its untrained twins."""
