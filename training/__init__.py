"""The recipe of the bundled model: data, tokenizer, training and export; see README.md beside this file."""
