"""What is measured of cross-attention, prompt by prompt, and what becomes of it over prompts."""
