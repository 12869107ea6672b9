"""What is measured of heads, prompt by prompt; no role is decided here."""
